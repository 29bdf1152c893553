//! Requests and responses of HTTP/1, as far as monitoring needs them: GET and HEAD, and one request a connection.

use httparse::{EMPTY_HEADER, Error, Header, Request as Parser};

/// The longest head of a request in bytes. The head of a request of Prometheus has about 300.
pub(super) const LONGEST_HEAD: usize = 8 * 1024;

/// The most header fields of a request.
const MOST_FIELDS: usize = 64;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub resource: Resource,
    pub method: Method,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// `/metrics`: the figures for Prometheus.
    Metrics,
    /// `/healthz`: whether the server takes clients.
    Health,
    /// `/`: the figures for people.
    Page,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    /// The response has no body.
    Head,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    HeadTooLarge,
    Unavailable,
}

impl Status {
    /// Returns the code and the words of the status line.
    pub(super) fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
        }
    }
}

/// Parses the head of a request at the start of `input`. Returns `None` if the head is not complete.
///
/// # Errors
///
/// Returns the status of the response that refuses the request.
pub(super) fn parse(input: &[u8]) -> Option<Result<Request, Status>> {
    let mut fields = [EMPTY_HEADER; MOST_FIELDS];
    let mut parser = Parser::new(&mut fields);
    match parser.parse(input) {
        Ok(parsed) if parsed.is_complete() => Some(understand(&parser)),
        Ok(_) if input.len() < LONGEST_HEAD => None,
        Ok(_) | Err(Error::TooManyHeaders) => Some(Err(Status::HeadTooLarge)),
        Err(_) => Some(Err(Status::BadRequest)),
    }
}

/// Encodes a response. The client must close the connection after it.
pub(super) fn response(status: Status, method: Method, content_type: &str, body: &str) -> Vec<u8> {
    let allow = match status {
        Status::MethodNotAllowed => "Allow: GET, HEAD\r\n",
        Status::Ok
        | Status::BadRequest
        | Status::NotFound
        | Status::HeadTooLarge
        | Status::Unavailable => "",
    };
    let head = format!(
        "HTTP/1.1 {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{allow}Cache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        status.line(),
        body.len()
    );
    let body = match method {
        Method::Get => body,
        Method::Head => "",
    };
    [head.as_bytes(), body.as_bytes()].concat()
}

/// Encodes a response whose body is one line of text.
pub(super) fn short_response(status: Status, method: Method, line: &str) -> Vec<u8> {
    let content_type = "text/plain; charset=utf-8";
    response(status, method, content_type, &format!("{line}\n"))
}

fn understand(parser: &Parser<'_, '_>) -> Result<Request, Status> {
    let has_host = |fields: &[Header<'_>]| {
        let mut names = fields.iter().map(|field| field.name);
        names.any(|name| name.eq_ignore_ascii_case("host"))
    };
    // RFC 9112, section 3.2.
    if parser.version == Some(1) && !has_host(parser.headers) {
        return Err(Status::BadRequest);
    }
    let resource = match path_of(parser.path.unwrap_or_default()) {
        "/metrics" => Resource::Metrics,
        "/healthz" => Resource::Health,
        "/" => Resource::Page,
        _ => return Err(Status::NotFound),
    };
    let method = match parser.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        _ => return Err(Status::MethodNotAllowed),
    };
    Ok(Request { resource, method })
}

/// Returns the path of a request's target, which may have a query, and may begin with a scheme and a host (RFC 9112,
/// section 3.2.2).
fn path_of(target: &str) -> &str {
    let target = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    target.split_once('?').map_or(target, |(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_path_and_a_method() {
        use Method::{Get, Head};
        use Resource::{Health, Metrics, Page};
        for (line, resource, method) in [
            ("GET / HTTP/1.1", Page, Get),
            ("GET /metrics HTTP/1.0", Metrics, Get),
            ("HEAD /healthz?verbose HTTP/1.1", Health, Head),
            ("GET http://[::1]:9100/metrics HTTP/1.1", Metrics, Get),
            ("GET http://localhost HTTP/1.1", Page, Get),
        ] {
            let head = format!("{line}\r\nhost: localhost\r\n\r\nGET / HTTP/1.1");
            let expected = Request { resource, method };
            assert_eq!(parse(head.as_bytes()), Some(Ok(expected)), "{line}");
        }
    }

    #[test]
    fn a_request_that_is_not_served_is_refused_with_its_status() {
        let fields = "a: b\r\n".repeat(MOST_FIELDS + 1);
        for (head, status) in [
            ("GET /other HTTP/1.1\r\nHost: a\r\n\r\n", Status::NotFound),
            (
                "GET /metrics/ HTTP/1.1\r\nHost: a\r\n\r\n",
                Status::NotFound,
            ),
            (
                "POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
                Status::MethodNotAllowed,
            ),
            ("GET / HTTP/1.1\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Status::BadRequest),
            ("\0", Status::BadRequest),
            (
                &format!("GET / HTTP/1.1\r\n{fields}\r\n"),
                Status::HeadTooLarge,
            ),
        ] {
            assert_eq!(parse(head.as_bytes()), Some(Err(status)), "{head}");
        }
    }

    #[test]
    fn a_head_is_awaited_up_to_its_longest_length() {
        let head = format!("GET / HTTP/1.1\r\nHost: {}", "a".repeat(LONGEST_HEAD));
        for end in (0..LONGEST_HEAD).step_by(101) {
            assert_eq!(parse(&head.as_bytes()[..end]), None, "{end}");
        }
        let whole = &head.as_bytes()[..LONGEST_HEAD];
        assert_eq!(parse(whole), Some(Err(Status::HeadTooLarge)));
    }

    #[test]
    fn the_response_to_head_has_the_length_and_no_body() {
        let get = short_response(Status::Ok, Method::Get, "ok");
        let head = short_response(Status::Ok, Method::Head, "ok");
        assert!(get.ends_with(b"\r\n\r\nok\n"));
        assert_eq!(get[..get.len() - 3], head);
    }
}
