//! From tokens to events, by the grammar of go-yaml's parser (`parserc.go` of gopkg.in/yaml.v2 and v3).

use std::borrow::Cow;

use crate::Error;
use crate::scanner::{Kind, Mark, Scanner, Token, Written};

/// What a text says, piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event<'t> {
    DocumentStart,
    DocumentEnd,
    StreamEnd,
    Alias { anchor: &'t str },
    Scalar { properties: Properties<'t>, text: Cow<'t, str>, written: Written },
    SequenceStart { anchor: Option<&'t str> },
    SequenceEnd,
    MappingStart { anchor: Option<&'t str> },
    MappingEnd,
}

/// What may stand before a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Properties<'t> {
    pub(crate) anchor: Option<&'t str>,
    /// The tag, its handle resolved.
    pub(crate) tag: Option<String>,
}

/// What is expected next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    FirstDocument,
    Document,
    DocumentContent,
    DocumentEnd,
    BlockNode,
    BlockSequenceFirst,
    BlockSequence,
    /// A list that is not indented deeper than its key.
    IndentlessSequence,
    BlockMappingFirst,
    BlockMappingKey,
    BlockMappingValue,
    FlowSequenceFirst,
    FlowSequence,
    /// `[a: b]`: an item that is a mapping of one key.
    FlowPairKey,
    FlowPairValue,
    FlowPairEnd,
    FlowMappingFirst,
    FlowMappingKey,
    FlowMappingValue,
    FlowMappingEmptyValue,
    End,
}

/// Where a node stands, which decides how it may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Flow,
    Block,
    /// Where a list may begin without indentation.
    BlockOrIndentless,
}

/// Reads events from a text, one at a time.
#[derive(Debug)]
pub(crate) struct Events<'t> {
    scanner: Scanner<'t>,
    state: State,
    /// What follows the collections that are open.
    states: Vec<State>,
    /// The handles of tags in this document and what they stand for.
    handles: Vec<(&'t str, String)>,
}

type Next<'t> = Result<(Event<'t>, Mark), Error>;

impl<'t> Events<'t> {
    pub(crate) fn new(text: &'t str, ahead: usize) -> Self {
        let states = Vec::with_capacity(16);
        Self { scanner: Scanner::new(text, ahead), state: State::FirstDocument, states, handles: Vec::new() }
    }

    /// The next event and where it begins; [`Event::StreamEnd`] at the end and ever after.
    pub(crate) fn next(&mut self) -> Next<'t> {
        match self.state {
            State::FirstDocument => self.document_start(true),
            State::Document => self.document_start(false),
            State::DocumentContent => self.document_content(),
            State::DocumentEnd => self.document_end(),
            State::BlockNode => self.node(Place::Block),
            State::BlockSequenceFirst => self.open(Self::block_sequence),
            State::BlockSequence => self.block_sequence(),
            State::IndentlessSequence => self.indentless_sequence(),
            State::BlockMappingFirst => self.open(Self::block_mapping_key),
            State::BlockMappingKey => self.block_mapping_key(),
            State::BlockMappingValue => self.block_mapping_value(),
            State::FlowSequenceFirst => self.open(|it| it.flow_sequence(true)),
            State::FlowSequence => self.flow_sequence(false),
            State::FlowPairKey => self.flow_pair_key(),
            State::FlowPairValue => self.flow_pair_value(),
            State::FlowPairEnd => {
                self.state = State::FlowSequence;
                Ok((Event::MappingEnd, self.peek()?.start))
            }
            State::FlowMappingFirst => self.open(|it| it.flow_mapping_key(true)),
            State::FlowMappingKey => self.flow_mapping_key(false),
            State::FlowMappingValue => self.flow_mapping_value(),
            State::FlowMappingEmptyValue => {
                let mark = self.peek()?.start;
                self.empty(State::FlowMappingKey, mark)
            }
            State::End => Ok((Event::StreamEnd, self.peek()?.start)),
        }
    }

    /// Where the last event ends, if it was written.
    pub(crate) fn end(&self) -> Mark {
        self.scanner.passed
    }

    // Helpers.

    fn peek(&mut self) -> Result<&mut Token<'t>, Error> {
        self.scanner.peek()
    }

    /// Whether the next token is one of these.
    fn at(&mut self, is_one: impl Fn(&Kind<'_>) -> bool) -> Result<bool, Error> {
        Ok(is_one(&self.peek()?.kind))
    }

    /// Skips the next token and gives where it stood.
    fn skip(&mut self) -> Result<Token<'t>, Error> {
        let token = self.peek()?;
        let (start, end) = (token.start, token.end);
        let kind = std::mem::replace(&mut token.kind, Kind::StreamEnd);
        self.scanner.skip();
        Ok(Token { kind, start, end })
    }

    /// Skips the token that opens a collection, then reads on.
    fn open(&mut self, read: impl FnOnce(&mut Self) -> Next<'t>) -> Next<'t> {
        self.scanner.peek()?;
        self.scanner.skip();
        read(self)
    }

    /// Ends a collection.
    fn close(&mut self, event: Event<'t>) -> Next<'t> {
        self.leave();
        Ok((event, self.skip()?.start))
    }

    /// Goes back to what follows the collection around.
    fn leave(&mut self) {
        self.state = self.states.pop().unwrap_or(State::End);
    }

    /// Reads a node, after which `then` follows.
    fn node_then(&mut self, place: Place, then: State) -> Next<'t> {
        self.states.push(then);
        self.node(place)
    }

    /// Null that is not written.
    #[allow(clippy::unnecessary_wraps)] // As everything that gives the next event.
    fn empty(&mut self, then: State, mark: Mark) -> Next<'t> {
        self.state = then;
        let properties = Properties::default();
        Ok((Event::Scalar { properties, text: Cow::Borrowed(""), written: Written::Plain }, mark))
    }

    // Documents.

    fn document_start(&mut self, is_first: bool) -> Next<'t> {
        while !is_first && self.at(|it| matches!(it, Kind::DocumentEnd))? {
            self.scanner.skip();
        }
        let token = self.peek()?;
        let start = token.start;
        if matches!(token.kind, Kind::StreamEnd) {
            self.state = State::End;
            return Ok((Event::StreamEnd, start));
        }
        let is_explicit = matches!(token.kind, Kind::Version { .. } | Kind::TagDirective(_) | Kind::DocumentStart);
        self.directives()?;
        self.states.push(State::DocumentEnd);
        if is_first && !is_explicit {
            self.state = State::BlockNode;
        } else if self.at(|it| matches!(it, Kind::DocumentStart))? {
            self.scanner.skip();
            self.state = State::DocumentContent;
        } else {
            return Err(self
                .peek()?
                .start
                .error("the document ends before this line; check the indentation, or begin another one with `---`"));
        }
        Ok((Event::DocumentStart, start))
    }

    fn document_content(&mut self) -> Next<'t> {
        let token = self.peek()?;
        let start = token.start;
        match token.kind {
            Kind::Version { .. }
            | Kind::TagDirective(_)
            | Kind::DocumentStart
            | Kind::DocumentEnd
            | Kind::StreamEnd => {
                self.leave();
                self.empty(self.state, start)
            }
            _ => self.node(Place::Block),
        }
    }

    fn document_end(&mut self) -> Next<'t> {
        let token = self.peek()?;
        let start = token.start;
        if matches!(token.kind, Kind::DocumentEnd) {
            self.scanner.skip();
        }
        self.handles.clear();
        self.state = State::Document;
        Ok((Event::DocumentEnd, start))
    }

    fn directives(&mut self) -> Result<(), Error> {
        let mut has_version = false;
        loop {
            let token = self.scanner.peek()?;
            let start = token.start;
            match &token.kind {
                Kind::Version { .. } if has_version => return Err(start.error("%YAML stands twice; leave it out")),
                Kind::Version { major: 1, minor: 1 } => has_version = true,
                Kind::Version { .. } => {
                    return Err(start.error("Kairos and RKE2 read YAML 1.1 only; leave the %YAML line out"));
                }
                Kind::TagDirective(directive) => {
                    let (handle, prefix) = &**directive;
                    if self.handles.iter().any(|(it, _)| it == handle) {
                        return Err(start.error("%TAG gives a handle twice; leave one out"));
                    }
                    self.handles.push((handle, prefix.clone()));
                }
                _ => break,
            }
            self.scanner.skip();
        }
        for (handle, prefix) in [("!", "!"), ("!!", "tag:yaml.org,2002:")] {
            if !self.handles.iter().any(|(it, _)| *it == handle) {
                self.handles.push((handle, prefix.to_owned()));
            }
        }
        Ok(())
    }

    // Nodes.

    fn node(&mut self, place: Place) -> Next<'t> {
        let token = self.peek()?;
        let start = token.start;
        if let Kind::Alias(anchor) = token.kind {
            self.leave();
            self.scanner.skip();
            return Ok((Event::Alias { anchor }, start));
        }
        let properties = self.properties(start)?;
        let anchor = properties.anchor;
        let token = self.peek()?;
        let found = token.start;
        match &mut token.kind {
            Kind::BlockEntry if place == Place::BlockOrIndentless => {
                self.state = State::IndentlessSequence;
                Ok((Event::SequenceStart { anchor }, start))
            }
            Kind::Scalar { text, written } => {
                let (text, written) = (std::mem::take(text), *written);
                self.leave();
                self.scanner.skip();
                Ok((Event::Scalar { properties, text, written }, start))
            }
            Kind::FlowSequenceStart => {
                self.state = State::FlowSequenceFirst;
                Ok((Event::SequenceStart { anchor }, start))
            }
            Kind::FlowMappingStart => {
                self.state = State::FlowMappingFirst;
                Ok((Event::MappingStart { anchor }, start))
            }
            Kind::BlockSequenceStart if place != Place::Flow => {
                self.state = State::BlockSequenceFirst;
                Ok((Event::SequenceStart { anchor }, start))
            }
            Kind::BlockMappingStart if place != Place::Flow => {
                self.state = State::BlockMappingFirst;
                Ok((Event::MappingStart { anchor }, start))
            }
            _ if properties.anchor.is_some() || properties.tag.is_some() => {
                self.leave();
                Ok((Event::Scalar { properties, text: Cow::Borrowed(""), written: Written::Plain }, start))
            }
            kind => Err(found.error(format!("a value is missing before {}; write it", described(kind)))),
        }
    }

    /// An anchor and a tag, in either order.
    fn properties(&mut self, start: Mark) -> Result<Properties<'t>, Error> {
        let mut properties = Properties::default();
        loop {
            let token = self.peek()?;
            match &mut token.kind {
                Kind::Anchor(name) if properties.anchor.is_none() => properties.anchor = Some(name),
                Kind::Tag(tag) if properties.tag.is_none() => {
                    let (handle, suffix) = std::mem::take(&mut **tag);
                    let prefix = self.handles.iter().find(|(it, _)| *it == handle).map(|(_, prefix)| prefix);
                    properties.tag = match (handle, prefix) {
                        ("", _) => Some(suffix),
                        (_, Some(prefix)) => Some(format!("{prefix}{suffix}")),
                        (_, None) => {
                            return Err(start.error("the tag's handle is not declared; write the value in quotes"));
                        }
                    };
                }
                _ => return Ok(properties),
            }
            self.scanner.skip();
        }
    }

    fn block_sequence(&mut self) -> Next<'t> {
        let token = self.peek()?;
        let (start, end) = (token.start, token.end);
        match token.kind {
            Kind::BlockEntry => {
                self.scanner.skip();
                match self.at(|it| matches!(it, Kind::BlockEntry | Kind::BlockEnd))? {
                    true => self.empty(State::BlockSequence, end),
                    false => self.node_then(Place::Block, State::BlockSequence),
                }
            }
            Kind::BlockEnd => self.close(Event::SequenceEnd),
            _ => Err(start.error("an item of the list, `- `, is expected here; check the indentation")),
        }
    }

    fn indentless_sequence(&mut self) -> Next<'t> {
        let token = self.peek()?;
        let (start, end) = (token.start, token.end);
        if !matches!(token.kind, Kind::BlockEntry) {
            self.leave();
            return Ok((Event::SequenceEnd, start));
        }
        self.scanner.skip();
        match self.at(|it| matches!(it, Kind::BlockEntry | Kind::Key | Kind::Value | Kind::BlockEnd))? {
            true => self.empty(State::IndentlessSequence, end),
            false => self.node_then(Place::Block, State::IndentlessSequence),
        }
    }

    fn block_mapping_key(&mut self) -> Next<'t> {
        let token = self.peek()?;
        let (start, end) = (token.start, token.end);
        match token.kind {
            Kind::Key => {
                self.scanner.skip();
                match self.at(|it| matches!(it, Kind::Key | Kind::Value | Kind::BlockEnd))? {
                    true => self.empty(State::BlockMappingValue, end),
                    false => self.node_then(Place::BlockOrIndentless, State::BlockMappingValue),
                }
            }
            Kind::BlockEnd => self.close(Event::MappingEnd),
            _ => Err(start.error("a key is expected here; check the indentation, and the quotes before it")),
        }
    }

    fn block_mapping_value(&mut self) -> Next<'t> {
        let token = self.peek()?;
        let (start, end) = (token.start, token.end);
        if !matches!(token.kind, Kind::Value) {
            return self.empty(State::BlockMappingKey, start);
        }
        self.scanner.skip();
        match self.at(|it| matches!(it, Kind::Key | Kind::Value | Kind::BlockEnd))? {
            true => self.empty(State::BlockMappingKey, end),
            false => self.node_then(Place::BlockOrIndentless, State::BlockMappingKey),
        }
    }

    fn flow_sequence(&mut self, is_first: bool) -> Next<'t> {
        if self.at(|it| matches!(it, Kind::FlowSequenceEnd))? {
            return self.close(Event::SequenceEnd);
        }
        self.comma(is_first, "`,` or `]`")?;
        let token = self.peek()?;
        let start = token.start;
        match token.kind {
            Kind::FlowSequenceEnd => self.close(Event::SequenceEnd),
            Kind::Key => {
                self.scanner.skip();
                self.state = State::FlowPairKey;
                Ok((Event::MappingStart { anchor: None }, start))
            }
            _ => self.node_then(Place::Flow, State::FlowSequence),
        }
    }

    /// The comma before every item but the first.
    fn comma(&mut self, is_first: bool, expected: &str) -> Result<(), Error> {
        if is_first {
            return Ok(());
        }
        let token = self.peek()?;
        if !matches!(token.kind, Kind::FlowEntry) {
            let (found, mark) = (described(&token.kind), token.start);
            return Err(mark.error(format!(
                "{expected} is expected before {found}; close the bracket, or write the value in quotes"
            )));
        }
        self.scanner.skip();
        Ok(())
    }

    fn flow_pair_key(&mut self) -> Next<'t> {
        if self.at(|it| matches!(it, Kind::Value | Kind::FlowEntry | Kind::FlowSequenceEnd))? {
            let end = self.skip()?.end;
            return self.empty(State::FlowPairValue, end);
        }
        self.node_then(Place::Flow, State::FlowPairValue)
    }

    fn flow_pair_value(&mut self) -> Next<'t> {
        if self.at(|it| matches!(it, Kind::Value))? {
            self.scanner.skip();
            if !self.at(|it| matches!(it, Kind::FlowEntry | Kind::FlowSequenceEnd))? {
                return self.node_then(Place::Flow, State::FlowPairEnd);
            }
        }
        let mark = self.peek()?.start;
        self.empty(State::FlowPairEnd, mark)
    }

    fn flow_mapping_key(&mut self, is_first: bool) -> Next<'t> {
        if self.at(|it| matches!(it, Kind::FlowMappingEnd))? {
            return self.close(Event::MappingEnd);
        }
        self.comma(is_first, "`,` or `}`")?;
        match self.peek()?.kind {
            Kind::FlowMappingEnd => self.close(Event::MappingEnd),
            Kind::Key => {
                self.scanner.skip();
                if self.at(|it| matches!(it, Kind::Value | Kind::FlowEntry | Kind::FlowMappingEnd))? {
                    let mark = self.peek()?.start;
                    return self.empty(State::FlowMappingValue, mark);
                }
                self.node_then(Place::Flow, State::FlowMappingValue)
            }
            _ => self.node_then(Place::Flow, State::FlowMappingEmptyValue),
        }
    }

    fn flow_mapping_value(&mut self) -> Next<'t> {
        if self.at(|it| matches!(it, Kind::Value))? {
            self.scanner.skip();
            if !self.at(|it| matches!(it, Kind::FlowEntry | Kind::FlowMappingEnd))? {
                return self.node_then(Place::Flow, State::FlowMappingKey);
            }
        }
        let mark = self.peek()?.start;
        self.empty(State::FlowMappingKey, mark)
    }
}

/// A token, for a message; never a text of the file.
fn described(kind: &Kind<'_>) -> &'static str {
    match kind {
        Kind::Version { .. } | Kind::TagDirective(_) => "the directive",
        Kind::DocumentStart => "`---`",
        Kind::DocumentEnd => "`...`",
        Kind::StreamEnd => "the end of the text",
        Kind::BlockSequenceStart | Kind::BlockEntry => "`-`",
        Kind::BlockMappingStart | Kind::Key => "the key",
        Kind::BlockEnd => "the next line",
        Kind::FlowSequenceStart => "`[`",
        Kind::FlowSequenceEnd => "`]`",
        Kind::FlowMappingStart => "`{`",
        Kind::FlowMappingEnd => "`}`",
        Kind::FlowEntry => "`,`",
        Kind::Value => "`:`",
        Kind::Alias(_) => "the alias",
        Kind::Anchor(_) => "the anchor",
        Kind::Tag(_) => "the tag",
        Kind::Scalar { .. } => "the value",
    }
}
