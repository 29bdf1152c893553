//! The pages of reports. A build without the feature `html` has no option for a page, so it makes none.

use std::error::Error;

use super::files::OutputFile;

#[cfg(feature = "html")]
pub use mio_echo::load::{
    beside_html as of_beside, compare_html as of_comparison, find_max_html as of_search,
    html as of_run, sweep_html as of_sweep,
};

#[cfg(not(feature = "html"))]
pub use without::{
    nothing as of_beside, nothing as of_comparison, nothing as of_run, nothing as of_search,
    nothing as of_sweep,
};

#[cfg(not(feature = "html"))]
mod without {
    use std::error::Error;

    /// Returns no page.
    pub fn nothing<R>(_: &R) -> Result<String, Box<dyn Error>> {
        Ok(String::new())
    }
}

/// Replaces the contents of `file` by `page`.
///
/// # Errors
///
/// When the page could not be made, or the file cannot be written.
pub fn write(file: OutputFile, page: Result<String, Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    let page = page?;
    Ok(file.write(|file| file.write_all(page.as_bytes()))?)
}
