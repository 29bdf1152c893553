// The actions that have a button, by who acts. An action has a word of the schedule, a label, a key, and a sentence for the pointer.
const ACTIONS = {
  peer: [
    ["send-1", "Send 1", "1", "The peer sends one byte"],
    ["send-2", "Send 2", "2", "The peer sends two bytes"],
    ["send-3", "Send 3", "3", "The peer sends three bytes"],
    ["urgent", "Urgent", "u", "The peer sends an urgent mark and one byte after it"],
    ["fin", "FIN", "f", "The peer finishes sending"],
    ["reset", "Reset", "r", "The peer resets the connection"],
    ["take-1", "Take 1", "t", "The peer takes one byte of the echo"],
    ["take-all", "Take all", "a", "The peer takes everything of the echo"],
  ],
  kernel: [
    ["turn", "Turn", "d", "One turn of the loop: it takes the next event, or goes on with its backlog"],
    ["loop", "Run until asleep", "l", "The loop takes turns until it sleeps, at most 50"],
    ["duplicate", "Report twice", "e", "A turn whose event is reported once more in the next turn"],
    ["split", "Report in parts", "p", "A turn whose event reports only WRITABLE. READABLE follows as an event of its own"],
    ["both", "Report both", "h", "A turn whose event reports both directions, even if one does not hold"],
    ["spurious", "Spurious event", "o", "An event without a cause: readable and writable"],
    ["interrupt", "Interrupt reads", "i", "Every read of the next run is interrupted by a signal (EINTR)"],
    ["signal", "Signal at the mark", "g", "The next read at an urgent mark answers WouldBlock, because a signal is pending"],
    ["read-one", "Short read", "b", "The next read returns at most one byte"],
    ["write-one", "Short write", "w", "The next write takes at most one byte"],
  ],
  operator: [
    ["clock", "Let the timer run out", "c", "The clock runs until the timer expires"],
    ["session", "Session timer", "n", "The session timer expires"],
    ["stop", "Stop the server", "s", "The server stops: what has arrived is still echoed"],
    ["deadline", "Drain deadline", "x", "The server waits no longer for its connections"],
  ],
};

const ACTION_OF_KEY = new Map(Object.values(ACTIONS).flat().map(([word, , key]) => [key, word]));
const TITLE_OF_ACTION = new Map(Object.values(ACTIONS).flat().map(([word, , , title]) => [word, title]));
