//! The warnings of the library in a command that has no log: `client` and `bench`.

use log::{Level, LevelFilter, Log, Metadata, Record};

/// A logger that passes the text of each warning and error to a function.
struct Warnings<F>(F);

/// Passes the text of each warning and error of the library to `show`, from any thread.
pub fn pass_to(show: impl Fn(String) + Send + Sync + 'static) {
    // A command installs its only logger, so this does not fail.
    if log::set_boxed_logger(Box::new(Warnings(show))).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

impl<F: Fn(String) + Send + Sync> Log for Warnings<F> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            (self.0)(record.args().to_string());
        }
    }

    fn flush(&self) {}
}
