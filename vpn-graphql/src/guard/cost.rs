//! What a document would cost, told in time that is linear in its length.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned,
    parser::types::{ExecutableDocument, Field, FragmentDefinition, Selection, SelectionSet},
};

/// How deep selections and fragments may nest before the walk gives up; it recurses.
const MAX_HEIGHT: u32 = 60;

/// What a selection set costs, all its fragments put in their places.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// Fields.
    pub(super) fields: u64,
    /// Fields, spreads and inline fragments: what every later walk has to visit.
    pub(super) steps: u64,
    /// Fields with another name.
    pub(super) aliases: u64,
    /// Fields at the top.
    pub(super) roots: u64,
    /// How deep lists of the introspection nest, each of which multiplies the answer.
    pub(super) introspection: u64,
    /// Whether it asks for the schema.
    pub(super) introspects: bool,
    /// How deep it nests.
    height: u32,
    /// What makes it impossible, whatever it costs.
    pub(super) fault: Option<&'static str>,
}

impl Cost {
    fn impossible(fault: &'static str) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }

    /// `part` stands beside what is here already.
    fn add(&mut self, part: Self) {
        self.fields = self.fields.saturating_add(part.fields);
        self.steps = self.steps.saturating_add(part.steps);
        self.aliases = self.aliases.saturating_add(part.aliases);
        self.roots = self.roots.saturating_add(part.roots);
        self.introspection = self.introspection.max(part.introspection);
        self.introspects |= part.introspects;
        self.height = self.height.max(part.height);
        self.fault = self.fault.or(part.fault);
    }

    /// One step around it.
    fn wrapped(mut self) -> Self {
        self.steps = self.steps.saturating_add(1);
        self.height = self.height.saturating_add(1);
        if self.height > MAX_HEIGHT {
            self.fault = self.fault.or(Some(TOO_DEEP));
        }
        self
    }
}

const TOO_DEEP: &str = "the document is nested too deep";
const CYCLE: &str = "a fragment contains itself";
const ODD_TYPENAME: &str = "`__typename` takes no directives but `@skip` and `@include`";

/// Walks a document and remembers the cost of each fragment: fragments that spread the next one
/// twice cost a walk without memory 2ⁿ steps.
pub(super) struct Walk<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    /// `None` while a fragment is being walked: whoever meets it then has found a cycle.
    known: HashMap<&'a Name, Option<Cost>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(document: &'a ExecutableDocument) -> Self {
        Self { fragments: &document.fragments, known: HashMap::new() }
    }

    /// The cost of a selection set.
    pub(super) fn cost(&mut self, set: &'a SelectionSet) -> Cost {
        self.set(set, 0)
    }

    /// What is wrong with a fragment that no operation uses. Validation would say so, but only
    /// after it has followed it wherever it leads.
    pub(super) fn unused_fault(&mut self) -> Option<&'static str> {
        let fragments = self.fragments;
        fragments.keys().find_map(|name| self.fragment(name, 0).fault)
    }

    fn set(&mut self, set: &'a SelectionSet, depth: u32) -> Cost {
        if depth > MAX_HEIGHT {
            return Cost::impossible(TOO_DEEP);
        }
        let mut cost = Cost::default();
        for selection in &set.items {
            cost.add(match &selection.node {
                Selection::Field(field) => self.field(&field.node, depth),
                Selection::InlineFragment(inline) => self.set(&inline.node.selection_set.node, depth + 1).wrapped(),
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node, depth).wrapped(),
            });
        }
        cost
    }

    fn field(&mut self, field: &'a Field, depth: u32) -> Cost {
        let mut cost = self.set(&field.selection_set.node, depth + 1).wrapped();
        let name = field.name.node.as_str();
        cost.fields = cost.fields.saturating_add(1);
        cost.aliases = cost.aliases.saturating_add(u64::from(field.alias.is_some()));
        cost.roots = 1;
        if matches!(name, "fields" | "interfaces" | "possibleTypes" | "inputFields") {
            cost.introspection += 1;
        }
        cost.introspects |= matches!(name, "__schema" | "__type");
        // async-graphql looks at the directives of every field but this one.
        let known = |name: &str| matches!(name, "skip" | "include");
        if name == "__typename" && !field.directives.iter().all(|it| known(it.node.name.node.as_str())) {
            cost.fault = cost.fault.or(Some(ODD_TYPENAME));
        }
        cost
    }

    /// A spread of a fragment that is not there costs nothing here; validation names it.
    fn fragment(&mut self, name: &Name, depth: u32) -> Cost {
        let Some((name, fragment)) = self.fragments.get_key_value(name) else {
            return Cost::default();
        };
        match self.known.get(name) {
            Some(Some(cost)) => *cost,
            Some(None) => Cost::impossible(CYCLE),
            None => {
                self.known.insert(name, None);
                let cost = self.set(&fragment.node.selection_set.node, depth + 1);
                self.known.insert(name, Some(cost));
                cost
            }
        }
    }
}
