//! E-mail: who wrote to whom, what is said, and the documents that are attached.

use std::fmt::Write as _;

use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::{Reader, html};
use crate::{
    error::Error,
    layout::{Page, page_from_text},
};

/// A message with more attachments than this is not meant to be read.
const MAX_ATTACHMENTS: usize = 100;

/// What a message consists of.
pub(super) struct Mail {
    /// The message itself, then each attachment.
    pub(super) pages: Vec<Page>,
    pub(super) page_count: usize,
}

/// Reads a message and the documents attached to it, as far as they can be read.
pub(super) fn read(bytes: &[u8], reader: &mut Reader) -> Result<Mail, Error> {
    let message = MessageParser::default()
        .parse(bytes)
        .ok_or_else(|| Error::damaged("the e-mail has no header"))?;
    let mut mail = Mail { pages: Vec::new(), page_count: 1 };
    let mut text = head(&message);
    text.push('\n');
    text.push_str(&body(&message));
    let attachments: Vec<&MessagePart> =
        message.attachments().filter(|part| is_document(part)).collect();
    if attachments.len() > MAX_ATTACHMENTS {
        let reason = format!("the e-mail has more than {MAX_ATTACHMENTS} attachments");
        return Err(Error::damaged(reason));
    }
    let mut read = Vec::new();
    for part in attachments {
        let name = part.attachment_name().unwrap_or("without a name");
        let name: String = name.chars().filter(|c| !c.is_control()).take(200).collect();
        let _ = write!(text, "\nAttachment: {name}");
        match attachment(part, &name, reader) {
            Ok(document) => read.push(document),
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => {
                let _ = write!(text, " (not read: {error})");
            }
        }
    }
    if reader.reading.pages.contains(1) {
        mail.pages.push(page_from_text(1, &text));
    }
    for document in read {
        for mut page in document.pages {
            page.number += mail.page_count;
            if reader.reading.pages.contains(page.number) {
                mail.pages.push(page);
            }
        }
        mail.page_count += document.page_count;
    }
    Ok(mail)
}

/// What concerns the message as a whole, not one attachment.
fn is_fatal(error: &Error) -> bool {
    matches!(error, Error::TooManyPages { .. } | Error::PictureUnread { .. })
}

fn attachment(
    part: &MessagePart,
    name: &str,
    reader: &mut Reader,
) -> Result<crate::layout::Document, Error> {
    let kind = part.content_type().map(|it| {
        let subtype = it.subtype().map(|subtype| format!("/{subtype}")).unwrap_or_default();
        format!("{}{subtype}", it.ctype())
    });
    let bytes = match &part.body {
        PartType::Message(message) => message.raw_message(),
        _ => part.contents(),
    };
    reader.inner(bytes, name, kind.as_deref())
}

/// Pictures that belong to the text, such as a logo in a signature, are no documents.
fn is_document(part: &MessagePart) -> bool {
    let is_picture = part.content_type().is_some_and(|it| it.ctype().eq_ignore_ascii_case("image"));
    let is_inline = matches!(part.body, PartType::InlineBinary(_)) || part.content_id().is_some();
    let is_said = part.content_disposition().is_some_and(|it| it.ctype() == "attachment");
    !(is_picture && is_inline && !is_said)
}

fn head(message: &Message) -> String {
    let mut head = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = writeln!(head, "{name}: {value}");
        }
    };
    line("From", message.from().map(addresses));
    line("To", message.to().map(addresses));
    line("Cc", message.cc().map(addresses));
    line("Date", message.date().map(mail_parser::DateTime::to_rfc3339));
    line("Subject", message.subject().map(ToOwned::to_owned));
    head
}

fn addresses(all: &Address) -> String {
    let one = |it: &mail_parser::Addr| match (&it.name, &it.address) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (Some(one), None) | (None, Some(one)) => one.clone().into_owned(),
        (None, None) => String::new(),
    };
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The text of the message; of two forms the one in HTML, if it has a table, since columns are
/// lost in the other.
fn body(message: &Message) -> String {
    let parts = |ids: &[u32]| -> Vec<&MessagePart> {
        ids.iter().filter_map(|id| message.part(*id)).collect()
    };
    let in_html = parts(&message.html_body);
    let has_table = in_html.iter().any(|part| match &part.body {
        PartType::Html(text) => text.contains("<table") || text.contains("<TABLE"),
        _ => false,
    });
    let chosen = if has_table { in_html } else { parts(&message.text_body) };
    let text = |part: &&MessagePart| match &part.body {
        PartType::Text(text) => text.replace("\r\n", "\n"),
        PartType::Html(text) => html::text(text),
        _ => String::new(),
    };
    chosen.iter().map(text).collect::<Vec<_>>().join("\n")
}
