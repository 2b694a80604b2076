//! One operation of a document that has several.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name,
    parser::types::{DocumentOperations, ExecutableDocument, Selection, SelectionSet},
};

/// The document with this operation alone, and the fragments that it uses; `None` when there are no others.
///
/// async-graphql holds the variables of a request against every operation of its document, and refuses it
/// when they do not fit one that nobody asked for. Programs that keep all their operations in one file
/// send all of it.
pub(super) fn alone(document: &ExecutableDocument, name: &str) -> Option<ExecutableDocument> {
    let DocumentOperations::Multiple(operations) = &document.operations else {
        return None;
    };
    if operations.len() < 2 {
        return None;
    }
    let (name, operation) = operations.get_key_value(name)?;
    let mut used = HashSet::new();
    spreads(&operation.node.selection_set.node, document, &mut used);
    let fragments = document.fragments.iter().filter(|(name, _)| used.contains(name));
    Some(ExecutableDocument {
        operations: DocumentOperations::Multiple(HashMap::from([(name.clone(), operation.clone())])),
        fragments: fragments.map(|(name, fragment)| (name.clone(), fragment.clone())).collect(),
    })
}

/// The walk of costs has been here: it is neither too deep nor endless.
fn spreads<'a>(set: &'a SelectionSet, document: &'a ExecutableDocument, used: &mut HashSet<&'a Name>) {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => spreads(&field.node.selection_set.node, document, used),
            Selection::InlineFragment(inline) => spreads(&inline.node.selection_set.node, document, used),
            Selection::FragmentSpread(spread) => {
                let found = document.fragments.get_key_value(&spread.node.fragment_name.node);
                if let Some((_, fragment)) = found.filter(|(name, _)| used.insert(name)) {
                    spreads(&fragment.node.selection_set.node, document, used);
                }
            }
        }
    }
}
