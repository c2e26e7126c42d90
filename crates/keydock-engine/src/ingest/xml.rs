//! XML, one event after the other: nothing is nested on the stack, no entity is looked up, and no
//! declaration of a document type means anything.

use std::borrow::Cow;

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event as Raw},
};

use crate::error::Error;

/// What stands in an XML text.
pub(super) enum Event<'a> {
    /// An element begins.
    Open(Element<'a>),
    /// Characters.
    Text(Cow<'a, str>),
    /// The element of this local name ends.
    Close(&'a str),
}

/// An element that begins.
pub(super) struct Element<'a> {
    start: BytesStart<'a>,
}

impl Element<'_> {
    /// The name without its prefix.
    pub(super) fn name(&self) -> &str {
        self.start.local_name().into_inner()
    }

    /// The value of the attribute with this name, whatever its prefix.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.start.attributes();
        let all = attributes.with_checks(false).flatten();
        let mut named = all.filter(|it| it.key.local_name().into_inner() == name);
        let value = named.next()?.normalized_value(XmlVersion::default()).ok()?;
        Some(value.into_owned())
    }

    /// The name of another part: the attribute `id` that has a prefix.
    pub(super) fn reference(&self) -> Option<String> {
        let mut attributes = self.start.attributes();
        let all = attributes.with_checks(false).flatten();
        let mut named = all.filter(|it| it.key.into_inner().ends_with(":id"));
        Some(named.next()?.normalized_value(XmlVersion::default()).ok()?.into_owned())
    }

    /// The value of an attribute as a number.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.attribute(name)?.trim().parse().ok()
    }
}

/// Walks through an XML text.
pub(super) fn walk(source: &str, mut visit: impl FnMut(Event)) -> Result<(), Error> {
    let mut reader = Reader::from_str(source);
    loop {
        let event = reader.read_event().map_err(|error| Error::damaged(format!("XML: {error}")))?;
        match event {
            Raw::Start(start) => visit(Event::Open(Element { start })),
            Raw::Empty(start) => {
                let name = start.local_name().into_inner().to_owned();
                visit(Event::Open(Element { start: start.borrow() }));
                visit(Event::Close(&name));
            }
            Raw::End(end) => visit(Event::Close(end.local_name().into_inner())),
            Raw::Text(text) => visit(Event::Text(text.xml10_content())),
            Raw::CData(text) => visit(Event::Text(text.xml10_content())),
            Raw::GeneralRef(name) => {
                let known = match &*name.xml10_content() {
                    "amp" => Some('&'),
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "quot" => Some('"'),
                    "apos" => Some('\''),
                    _ => name.resolve_char_ref().ok().flatten(),
                };
                if let Some(character) = known {
                    visit(Event::Text(character.to_string().into()));
                }
            }
            Raw::Eof => return Ok(()),
            Raw::Comment(_) | Raw::Decl(_) | Raw::PI(_) | Raw::DocType(_) => {}
        }
    }
}
