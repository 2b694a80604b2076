//! The operations that a server runs, when it runs no others.
//!
//! In production the documents of an application are known when it is built. A server that is given
//! their list refuses every other one before it parses it, whoever asks.

use std::{collections::HashMap, path::Path, sync::Arc};

use async_graphql::ServerError;
use sha2::{Digest as _, Sha256};

use crate::{
    error::refusal,
    guard::{self, DocumentLimits},
};

/// How a document is named in requests, before its hash.
const PREFIX: &str = "sha256:";

/// Documents by the SHA-256 of their text: 64 hexadecimal digits.
#[derive(Clone, Debug, Default)]
pub struct Operations(Arc<HashMap<String, String>>);

/// Why a list of operations cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OperationsError {
    /// It could not be read.
    #[error("the list of operations {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It has another form.
    #[error("the list of operations must be a JSON object of documents, each named by its SHA-256 in hexadecimal: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A document is not the one that its name says.
    #[error("the operation {named} has the SHA-256 {is}: make the list again")]
    Misnamed {
        /// Its name.
        named: String,
        /// What it should be.
        is: String,
    },
    /// A document would be refused whenever it is asked for.
    #[error("the operation {named} is none that this server runs: {why}")]
    Refused {
        /// Its name.
        named: String,
        /// Why.
        why: String,
    },
}

impl Operations {
    /// From a file: `{"<sha256>": "query …", …}`.
    ///
    /// # Errors
    /// When the file cannot be read, or its list is not as [`Self::parse`] wants it.
    pub fn read(path: &Path, limits: &DocumentLimits) -> Result<Self, OperationsError> {
        let unreadable = |source| OperationsError::Unreadable { path: path.display().to_string(), source };
        Self::parse(&std::fs::read_to_string(path).map_err(unreadable)?, limits)
    }

    /// The same from its text. Every document must be within the server's limits, and have its own name.
    pub fn parse(text: &str, limits: &DocumentLimits) -> Result<Self, OperationsError> {
        let listed: HashMap<String, String> = serde_json::from_str(text)?;
        for (named, document) in &listed {
            let is = name_of(document);
            if *named != is {
                return Err(OperationsError::Misnamed { named: named.clone(), is });
            }
            guard::look_over(document, limits)
                .map_err(|error| OperationsError::Refused { named: named.clone(), why: error.message })?;
        }
        Ok(Self(Arc::new(listed)))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The document that is asked for, by its text or by its name.
    pub(crate) fn find(&self, asked: &Asked) -> Result<String, ServerError> {
        let name = match asked {
            Asked::Document(text) => name_of(text),
            Asked::Named(id) => id.strip_prefix(PREFIX).unwrap_or(id).to_ascii_lowercase(),
        };
        self.0.get(&name).cloned().ok_or_else(|| {
            let shown: String = name.chars().take(64).collect();
            let message =
                format!("this server runs only the operations of its list, and {PREFIX}{shown} is not among them");
            refusal("OPERATION_NOT_ALLOWED", message)
        })
    }
}

/// What a request asks to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// This document.
    Document(String),
    /// The document with this name.
    Named(String),
}

impl Asked {
    /// Its text. A name means something only to a server that has a list.
    pub(crate) fn document(self, listed: Option<&Operations>) -> Result<String, ServerError> {
        match (self, listed) {
            (asked, Some(listed)) => listed.find(&asked),
            (Self::Document(text), None) => Ok(text),
            (Self::Named(_), None) => Err(refusal(
                "OPERATION_NOT_ALLOWED",
                "this server has no list of operations: send the document as `query`",
            )),
        }
    }
}

fn name_of(document: &str) -> String {
    hex::encode(Sha256::digest(document))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(&str, &str)]) -> String {
        serde_json::json!(entries.iter().copied().collect::<HashMap<_, _>>()).to_string()
    }

    #[test]
    fn a_listed_operation_is_found_by_its_text_and_by_its_name() {
        let (document, name) = ("{ viewer { role } }", name_of("{ viewer { role } }"));
        let listed = Operations::parse(&list(&[(&name, document)]), &DocumentLimits::default()).expect("a list");
        assert_eq!(listed.count(), 1);
        for asked in [
            Asked::Document(document.to_owned()),
            Asked::Named(format!("sha256:{name}")),
            Asked::Named(name.to_ascii_uppercase()),
        ] {
            assert_eq!(listed.find(&asked).expect("found"), document);
        }
        for asked in [Asked::Document("{ viewer { role } } ".to_owned()), Asked::Named("sha256:00".to_owned())] {
            assert!(listed.find(&asked).expect_err("not listed").message.contains("not among them"));
        }
    }

    #[test]
    fn a_list_that_is_wrong_is_refused_as_a_whole() {
        let broken = name_of("{");
        for (text, told) in [
            ("[]".to_owned(), "JSON object"),
            (list(&[("00", "{ a }")]), "make the list again"),
            (list(&[(&broken, "{")]), "none that this server runs"),
        ] {
            let error = Operations::parse(&text, &DocumentLimits::default()).expect_err("wrong").to_string();
            assert!(error.contains(told), "{error}");
        }
        assert!(
            Operations::read(Path::new("/nowhere"), &DocumentLimits::default())
                .expect_err("none")
                .to_string()
                .contains("/nowhere")
        );
    }

    #[test]
    fn what_the_server_would_refuse_always_is_refused_at_the_start() {
        let document = "{ __schema { queryType { name } } }";
        let text = list(&[(&name_of(document), document)]);
        let closed = DocumentLimits { introspect: false, ..DocumentLimits::default() };
        assert!(matches!(Operations::parse(&text, &closed), Err(OperationsError::Refused { .. })));
        assert!(Operations::parse(&text, &DocumentLimits::default()).is_ok());
    }
}
