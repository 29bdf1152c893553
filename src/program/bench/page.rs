//! Writes the report as a page of HTML. A build without the feature `html` has no option for it.

use std::error::Error;

use mio_echo::load::{BesideReport, CompareReport, FindMaxReport, Report, SweepReport};

use super::files::OutputFile;

/// Replaces the contents of `file` by the page of `report`.
///
/// # Errors
///
/// When the report cannot be decoded or the file cannot be written.
#[cfg(feature = "html")]
pub fn write(file: OutputFile, report: &Report) -> Result<(), Box<dyn Error>> {
    let page = mio_echo::load::html(report)?;
    Ok(file.write(|file| file.write_all(page.as_bytes()))?)
}

/// Writes nothing.
#[cfg(not(feature = "html"))]
pub fn write(_: OutputFile, _: &Report) -> Result<(), Box<dyn Error>> {
    Ok(())
}

/// Returns the page of a comparison.
///
/// # Errors
///
/// When a report of a run cannot be decoded.
#[cfg(feature = "html")]
pub fn of_comparison(report: &CompareReport) -> Result<String, Box<dyn Error>> {
    mio_echo::load::compare_html(report)
}

/// Returns nothing.
#[cfg(not(feature = "html"))]
pub fn of_comparison(_: &CompareReport) -> Result<String, Box<dyn Error>> {
    Ok(String::new())
}

/// Returns the page of a sweep.
///
/// # Errors
///
/// When a report of a run cannot be decoded.
#[cfg(feature = "html")]
pub fn of_sweep(report: &SweepReport) -> Result<String, Box<dyn Error>> {
    mio_echo::load::sweep_html(report)
}

/// Returns nothing.
#[cfg(not(feature = "html"))]
pub fn of_sweep(_: &SweepReport) -> Result<String, Box<dyn Error>> {
    Ok(String::new())
}

/// Returns the page of a search.
///
/// # Errors
///
/// When a report of a run cannot be decoded.
#[cfg(feature = "html")]
pub fn of_search(report: &FindMaxReport) -> Result<String, Box<dyn Error>> {
    mio_echo::load::find_max_html(report)
}

/// Returns nothing.
#[cfg(not(feature = "html"))]
pub fn of_search(_: &FindMaxReport) -> Result<String, Box<dyn Error>> {
    Ok(String::new())
}

/// Returns the page of a measurement beside bulk connections.
///
/// # Errors
///
/// When a report of a run cannot be decoded.
#[cfg(feature = "html")]
pub fn of_beside(report: &BesideReport) -> Result<String, Box<dyn Error>> {
    mio_echo::load::beside_html(report)
}

/// Returns nothing.
#[cfg(not(feature = "html"))]
pub fn of_beside(_: &BesideReport) -> Result<String, Box<dyn Error>> {
    Ok(String::new())
}
