//! Reports as pages of HTML: each is one file without a script or a font of others.
//!
//! ```text
//!   run            the page of a run          figures, spectrum, over_time, details, command
//!   comparison     the page of compare      forest, spectrum
//!   series         the pages of sweeps, searches and pings beside bulk   steps, spectrum
//!     |
//!   frame          what all pages have        head, policy, style, script, JSON and the link that saves it
//!   drawing        a plot as SVG              shapes, axes, labels
//!   scale          values as pixels           linear and logarithmic scales with their ticks
//! ```
//!
//! A page is computed from the report alone, as the text is, so both agree. Without the script a page shows everything;
//! the script adds the value at the pointer and the link that saves the JSON. The templates are in `templates/`.

pub mod command;
pub mod comparison;
pub mod details;
pub mod drawing;
pub mod figures;
pub mod forest;
pub mod frame;
pub mod interference_rows;
pub mod numbers;
pub mod over_time;
pub mod run;
pub mod scale;
pub mod series;
pub mod slices;
pub mod spectrum;
pub mod steps;
