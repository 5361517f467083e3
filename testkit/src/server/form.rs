//! Form bodies as the API takes them: multipart and urlencoded, nothing else.

use std::fmt;

/// The fields of a form, in order. Its `Debug` names the fields and hides the values: most are
/// secrets.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Form(Vec<(String, String)>);

/// Why a body is no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAForm {
    /// JSON, which the auth endpoints refuse.
    Json,
    /// Another media type, or none.
    MediaType,
    /// A multipart body that does not keep to its own boundary.
    Malformed,
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Form {
    /// Parses a body by its media type.
    pub(super) fn parse(content_type: Option<&str>, body: &[u8]) -> Result<Self, NotAForm> {
        let content_type = content_type.ok_or(NotAForm::MediaType)?;
        let media_type = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match media_type.as_str() {
            "application/x-www-form-urlencoded" => Ok(Self(
                form_urlencoded::parse(body)
                    .map(|(n, v)| (n.into_owned(), v.into_owned()))
                    .collect(),
            )),
            "multipart/form-data" => multipart(boundary(content_type).ok_or(NotAForm::Malformed)?, body),
            "application/json" => Err(NotAForm::Json),
            _ => Err(NotAForm::MediaType),
        }
    }

    /// The value of a field that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, v)| n == name && !v.is_empty())
            .map(|(_, v)| v.as_str())
    }
}

fn boundary(content_type: &str) -> Option<&str> {
    let parameter = content_type
        .split(';')
        .skip(1)
        .map(str::trim)
        .find_map(|p| p.strip_prefix("boundary="))?;
    let boundary = parameter.trim_matches('"');
    (1..=70).contains(&boundary.len()).then_some(boundary) // RFC 2046 §5.1.1
}

fn multipart(boundary: &str, body: &[u8]) -> Result<Form, NotAForm> {
    let text = std::str::from_utf8(body).map_err(|_| NotAForm::Malformed)?;
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter has no line end before it when there is no preamble.
    let text = format!("\r\n{text}");
    let mut parts = text.split(delimiter.as_str()).skip(1);
    let mut fields = Vec::new();
    loop {
        let part = parts.next().ok_or(NotAForm::Malformed)?; // the closing delimiter never came
        if part.starts_with("--") {
            return Ok(Form(fields));
        }
        let (head, value) = part
            .strip_prefix("\r\n")
            .and_then(|p| p.split_once("\r\n\r\n"))
            .ok_or(NotAForm::Malformed)?;
        fields.push((field_name(head).ok_or(NotAForm::Malformed)?, value.to_owned()));
    }
}

fn field_name(head: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if !name.eq_ignore_ascii_case("content-disposition") {
            return None;
        }
        let mut pieces = value.split(';').map(str::trim);
        (pieces.next()? == "form-data").then_some(())?;
        pieces
            .find_map(|p| p.strip_prefix("name="))
            .map(|n| n.trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MULTIPART: &str = "multipart/form-data; boundary=XyZ";

    #[test]
    fn both_encodings_carry_the_same_fields() {
        let urlencoded = Form::parse(Some("application/x-www-form-urlencoded"), b"client_id=a%2Bb&scope=x+y");
        let body = b"--XyZ\r\nContent-Disposition: form-data; name=\"client_id\"\r\n\r\na+b\r\n\
            --XyZ\r\ncontent-disposition: form-data; name=\"scope\"\r\n\r\nx y\r\n--XyZ--\r\n";
        let multipart = Form::parse(Some(MULTIPART), body);
        assert_eq!(urlencoded, multipart);
        assert_eq!(multipart.as_ref().ok().and_then(|f| f.get("client_id")), Some("a+b"));
        assert_eq!(multipart.as_ref().ok().and_then(|f| f.get("scope")), Some("x y"));
    }

    #[test]
    fn a_multipart_body_without_its_end_is_malformed() {
        let body = b"--XyZ\r\nContent-Disposition: form-data; name=\"client_id\"\r\n\r\na";
        assert_eq!(Form::parse(Some(MULTIPART), body), Err(NotAForm::Malformed));
    }

    #[test]
    fn json_is_refused() {
        assert_eq!(Form::parse(Some("application/json"), b"{}"), Err(NotAForm::Json));
        assert_eq!(Form::parse(None, b"a=b"), Err(NotAForm::MediaType));
    }

    #[test]
    fn the_values_do_not_show_in_debug() {
        let form = Form::parse(Some("application/x-www-form-urlencoded"), b"client_secret=canary");
        assert!(!format!("{form:?}").contains("canary"));
    }
}
