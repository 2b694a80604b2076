//! What is checked of a document before async-graphql walks it, on every transport.
//!
//! Limits on depth and complexity do not stop documents that kill the parser or the walkers
//! themselves. This is no async-graphql `Extension` on purpose: with any extension installed every
//! field is resolved through a chain of boxed hooks, which costs a page of 50 about a third more.

mod alone;
mod brackets;
mod cost;
#[cfg(test)]
mod tests;

use async_graphql::{
    Name, Request, ServerError, Value, Variables,
    parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType},
};

use self::cost::{Cost, Walk};
use crate::error::{BAD_USER_INPUT, refusal};

/// Limits on a document. The standard introspection needs 229 fields.
#[derive(Clone, Copy, Debug)]
pub struct DocumentLimits {
    /// Its length, in bytes.
    pub bytes: usize,
    /// How deep brackets of any kind may nest.
    pub brackets: usize,
    /// Fields in one operation, fragments put in their places.
    pub fields: u64,
    /// Fields, fragment spreads and inline fragments in one operation.
    pub steps: u64,
    /// Aliases in one operation.
    pub aliases: u64,
    /// Mutations in one operation.
    pub mutations: u64,
    /// How deep the introspection's lists may nest.
    pub introspection: u64,
    /// Operations in one document.
    pub operations: usize,
    /// Whether the schema may be asked for at all.
    pub introspect: bool,
}

impl Default for DocumentLimits {
    fn default() -> Self {
        Self {
            bytes: 32 * 1024,
            brackets: 64,
            fields: 400,
            steps: 1_000,
            aliases: 30,
            mutations: 10,
            introspection: 3,
            operations: 40,
            introspect: true,
        }
    }
}

/// Whether a document would be admitted, whatever its variables.
pub(crate) fn look_over(document: &str, limits: &DocumentLimits) -> Result<(), ServerError> {
    parse(&mut Request::new(document), limits).map(drop)
}

/// Parses the request's document within `limits`, and says what kind of operation it asks for.
///
/// The parsed document stays in the request, so that it is parsed once.
pub(crate) fn admit(request: &mut Request, limits: &DocumentLimits) -> Result<OperationType, ServerError> {
    let name = request.operation_name.clone();
    let document = parse(request, limits)?;
    // Whatever names no operation is refused by async-graphql, in the words of the specification.
    let Some(operation) = chosen(&document.operations, name.as_deref()) else {
        return Ok(OperationType::Query);
    };
    let (kind, mut variables, required) = (operation.ty, defaults(operation), required(operation));
    let alone = name.and_then(|name| alone::alone(document, &name));
    if let Some(document) = alone {
        request.set_parsed_query(document);
    }
    variables.append(&mut request.variables);
    request.variables = variables;
    match required.into_iter().find(|name| matches!(request.variables.get(name), None | Some(Value::Null))) {
        Some(name) => Err(refusal(BAD_USER_INPUT, format!("the variable `${name}` needs a value"))),
        None => Ok(kind),
    }
}

/// The request's document, if it is within the limits.
fn parse<'a>(request: &'a mut Request, limits: &DocumentLimits) -> Result<&'a ExecutableDocument, ServerError> {
    if request.query.len() > limits.bytes {
        return Err(refusal("DOCUMENT_TOO_LARGE", format!("the document is longer than {} bytes", limits.bytes)));
    }
    if !brackets::nest_within(&request.query, limits.brackets) {
        return Err(refusal("DOCUMENT_TOO_DEEP", "the document is nested too deep"));
    }
    let document = request.parsed_query().map_err(|error| {
        let mut told = refusal("GRAPHQL_PARSE_FAILED", error.message);
        told.locations = error.locations;
        told
    })?;
    within(document, limits)?;
    Ok(document)
}

fn within(document: &ExecutableDocument, limits: &DocumentLimits) -> Result<(), ServerError> {
    let too_complex = |message: String| Err(refusal("DOCUMENT_TOO_COMPLEX", message));
    if document.operations.iter().count() > limits.operations {
        return too_complex(format!("a document may have {} operations", limits.operations));
    }
    let mut walk = Walk::new(document);
    for (_, operation) in document.operations.iter() {
        let cost = walk.cost(&operation.node.selection_set.node);
        if let Some(fault) = cost.fault {
            return Err(refusal("GRAPHQL_VALIDATION_FAILED", fault));
        }
        if cost.introspects && !limits.introspect {
            return Err(refusal(
                "INTROSPECTION_DISABLED",
                "this server does not tell its schema: it is in schema.graphql",
            ));
        }
        if let Some((what, max)) = excess(&cost, operation.node.ty, limits) {
            return too_complex(format!("an operation may have {max} {what}, fragments put in their places"));
        }
    }
    match walk.unused_fault() {
        Some(fault) => Err(refusal("GRAPHQL_VALIDATION_FAILED", fault)),
        None => Ok(()),
    }
}

/// The first limit that is exceeded.
fn excess(cost: &Cost, kind: OperationType, limits: &DocumentLimits) -> Option<(&'static str, u64)> {
    let mutations = if kind == OperationType::Mutation { cost.roots } else { 0 };
    [
        ("fields", cost.fields, limits.fields),
        ("selections", cost.steps, limits.steps),
        ("aliases", cost.aliases, limits.aliases),
        ("mutations", mutations, limits.mutations),
        ("nested lists of the introspection", cost.introspection, limits.introspection),
    ]
    .into_iter()
    .find_map(|(what, is, max)| (is > max).then_some((what, max)))
}

fn chosen<'a>(operations: &'a DocumentOperations, name: Option<&str>) -> Option<&'a OperationDefinition> {
    let mut all = operations.iter();
    let found = match name {
        Some(name) => all.find(|(it, _)| it.is_some_and(|it| it.as_str() == name)),
        None => all.next(),
    };
    found.map(|(_, operation)| &operation.node)
}

/// The defaults of the operation's variables. async-graphql forgets them in `@skip` and `@include`.
fn defaults(operation: &OperationDefinition) -> Variables {
    let mut defaults = Variables::default();
    for definition in &operation.variable_definitions {
        if let Some(value) = &definition.node.default_value {
            defaults.insert(definition.node.name.node.clone(), value.node.clone());
        }
    }
    defaults
}

/// The variables that must have a value. async-graphql notices what is missing only where it is used,
/// when other parts of the operation may have been done.
fn required(operation: &OperationDefinition) -> Vec<Name> {
    let definitions = operation.variable_definitions.iter().map(|definition| &definition.node);
    let required = definitions.filter(|it| !it.var_type.node.nullable && it.default_value.is_none());
    required.map(|definition| definition.name.node.clone()).collect()
}
