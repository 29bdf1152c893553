//! Lines that fit a terminal.

/// Begins each line that continues another one.
const INDENT: &str = "    ";

/// Returns `text` with its lines broken between words, so that none is longer than `columns`. A longer word stays whole.
pub fn wrap(text: &str, columns: usize) -> String {
    let mut wrapped = String::new();
    for line in text.lines() {
        let mut rest = line;
        let mut indent = "";
        while let Some((first, next)) = split(rest, columns.saturating_sub(indent.len())) {
            wrapped.extend([indent, first, "\n"]);
            (rest, indent) = (next, INDENT);
        }
        wrapped.extend([indent, rest, "\n"]);
    }
    wrapped
}

/// Splits `line` at its last space before which at most `columns` characters are; if there is none, at its first space.
/// Returns `None` if the line fits or has no space.
fn split(line: &str, columns: usize) -> Option<(&str, &str)> {
    let (end, after) = line.char_indices().nth(columns)?;
    // A space right after the last column is left out as well.
    let fitting = line[..end + after.len_utf8()].rfind(' ');
    let space = fitting.or_else(|| line.find(' '))?;
    let (first, rest) = (line[..space].trim_end(), line[space..].trim_start());
    (!first.is_empty() && !rest.is_empty()).then_some((first, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_short_lines_stay() {
        let text = "one two three\n  a   b\nfour five\n";
        assert_eq!(wrap(text, 9), "one two\n    three\n  a   b\nfour five\n");
        assert_eq!(wrap("aaaa bbbb cccc", 4), "aaaa\n    bbbb\n    cccc\n");
    }

    #[test]
    fn a_word_that_is_longer_than_a_line_stays_whole() {
        assert_eq!(
            wrap("longer-than-a-line x", 6),
            "longer-than-a-line\n    x\n"
        );
        assert_eq!(wrap("longer-than-a-line", 6), "longer-than-a-line\n");
    }

    #[test]
    fn no_width_and_no_text_makes_it_panic() {
        for text in ["", " ", "   x", "·· ·· ··", "a  b", "p50 ·  ▁▂▃ ·"] {
            for columns in 0..12 {
                let words = |text: &str| {
                    text.split_whitespace()
                        .map(String::from)
                        .collect::<Vec<_>>()
                };
                assert_eq!(
                    words(&wrap(text, columns)),
                    words(text),
                    "{text:?} {columns}"
                );
            }
        }
    }
}
