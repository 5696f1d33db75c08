//! EC2's words: requests as form fields, answers as XML.

use std::collections::BTreeMap;

/// The fields of a request.
pub type Fields = BTreeMap<String, String>;

/// Reads a request's body.
pub fn fields(body: &[u8]) -> Fields {
    // The same form that URLs have their queries in.
    let mut url: reqwest::Url = reqwest::Url::parse("http://ec2/").unwrap_or_else(|_| unreachable!());
    url.set_query(Some(&String::from_utf8_lossy(body)));
    url.query_pairs().into_owned().collect()
}

/// The values of a list, `InstanceId.1`, `InstanceId.2`, …
pub fn list(fields: &Fields, name: &str) -> Vec<String> {
    (1..).map_while(|number| fields.get(&format!("{name}.{number}")).cloned()).collect()
}

/// The filters of a read: names with their values.
pub fn filters(fields: &Fields) -> Vec<(String, Vec<String>)> {
    (1..)
        .map_while(|number| {
            let name = fields.get(&format!("Filter.{number}.Name"))?;
            Some((name.clone(), list(fields, &format!("Filter.{number}.Value"))))
        })
        .collect()
}

/// The tags of a launch's instance, or of a change of tags.
pub fn tags(fields: &Fields, prefix: &str) -> BTreeMap<String, String> {
    (1..)
        .map_while(|number| {
            let key = fields.get(&format!("{prefix}.{number}.Key"))?;
            let value = fields.get(&format!("{prefix}.{number}.Value")).cloned().unwrap_or_default();
            Some((key.clone(), value))
        })
        .collect()
}

/// An element with this content.
pub fn element(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}

/// An element with this text.
pub fn text(name: &str, content: &str) -> String {
    element(name, &content.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}

/// The document that answers an action.
pub fn document(action: &str, content: &str) -> String {
    format!(
        "<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>simulated</requestId>{content}</{action}Response>"
    )
}

/// The document of an error.
pub fn error(code: &str, message: &str) -> String {
    let error = text("Code", code) + &text("Message", message);
    element("Response", &(element("Errors", &element("Error", &error)) + &text("RequestID", "simulated")))
}
