//! What all pages have: the head with the policy that forbids the network, the style, the script, and the report as JSON.

use askama::Template;

const STYLE: &str = include_str!("templates/style.css");
const SCRIPT: &str = include_str!("templates/script.js");

/// The SHA-256 of [`STYLE`] and of [`SCRIPT`] in base64. Only this style and this script are allowed to run, so a label
/// cannot add another one. A test computes them.
const STYLE_HASH: &str = "o7OYPlz9Q7h5jgFX0SIjZqEKsDGTy7unEVLCuqRUZpc=";
const SCRIPT_HASH: &str = "iaJbAV+9ptqzx8gZuqmUvbXW5lX2sriZsTy/ybQ7Dqk=";

/// A page.
#[derive(Template)]
#[template(config = "src/load/page/askama.toml", path = "frame.html")]
pub struct Frame<'a> {
    title: &'a str,
    body: String,
    json: String,
    file_name: &'a str,
}

/// Returns the page `title` with `body`, which is HTML. The page holds the report `json` and saves it as `file_name`.
pub fn page(title: &str, body: String, json: &str, file_name: &str) -> String {
    let frame = Frame {
        title,
        body,
        json: script_safe(json),
        file_name,
    };
    frame.render().expect("a String takes all text")
}

/// Returns `json` with every `<` escaped, which occurs in texts only: no text can end the element that holds the JSON.
fn script_safe(json: &str) -> String {
    json.replace('<', "\\u003c")
}

impl Frame<'_> {
    fn policy(&self) -> String {
        format!(
            "default-src 'none'; style-src 'sha256-{STYLE_HASH}'; script-src 'sha256-{SCRIPT_HASH}'; base-uri 'none'; \
             form-action 'none'"
        )
    }

    fn style(&self) -> &'static str {
        STYLE
    }

    fn script(&self) -> &'static str {
        SCRIPT
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_policy_allows_the_style_and_the_script_of_the_page_and_nothing_else() {
        // A browser computes the hash after it has read line ends as line feeds.
        let hash = |text: &str| STANDARD.encode(Sha256::digest(text.replace("\r\n", "\n")));
        assert_eq!(STYLE_HASH, hash(STYLE), "of style.css");
        assert_eq!(SCRIPT_HASH, hash(SCRIPT), "of script.js");
        let page = page("title", String::new(), "{}", "report.json");
        for (element, text) in [("style", STYLE), ("script", SCRIPT)] {
            assert!(page.contains(&format!("<{element}>{text}</{element}>")));
        }
        for address in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!page.contains(address), "{address}");
        }
    }

    #[test]
    fn a_text_cannot_end_the_element_that_holds_the_json() {
        let json = r#"{"label":"</script><!--<script>"}"#;
        let safe = script_safe(json);
        assert!(!safe.contains('<'), "{safe}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(read(&safe), read(json));
    }
}
