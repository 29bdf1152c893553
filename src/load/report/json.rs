//! How every report is written as JSON.

use serde::Serialize;

/// Returns `report` as one JSON object that ends with a line break.
pub fn json_object(report: &impl Serialize) -> String {
    let json = serde_json::to_string_pretty(report);
    json.expect("every name is text") + "\n"
}
