//! The schema. Each resolver makes one call to the platform; a data loader's counts as that.

mod cursor;
mod inputs;
mod loaders;
mod mutation;
mod payloads;
mod query;
mod scope;
mod subscription;
mod types;

use async_graphql::{Error, SDLExportOptions, Schema, SchemaBuilder};

use self::{mutation::Mutation, query::Query, subscription::Subscription, types::LiveEvent};
pub(crate) use self::{scope::Scope, types::UserError};

pub(crate) type PlatformSchema = Schema<Query, Mutation, Subscription>;

/// How deep a selection may nest. The standard introspection has 15 levels.
const MAX_DEPTH: usize = 15;
/// What an operation may cost: a field costs 1, a list the cost of an item times its length.
const MAX_COST: usize = 10_000;
/// Directives on one field.
const MAX_DIRECTIVES: usize = 5;

/// What a field gives that may be null and may fail. With `Result<Option<T>, Error>` async-graphql
/// would null the field's parent when it fails; the specification wants the field itself to be null.
type Nullable<T> = Option<Result<T, Error>>;

/// The schema. The platform comes with each request, in its [`Scope`].
///
/// Whoever may not ask for it is not told by the words "did you mean" either.
pub(crate) fn schema(introspect: bool) -> PlatformSchema {
    let builder = builder().limit_depth(MAX_DEPTH).limit_complexity(MAX_COST).limit_directives(MAX_DIRECTIVES);
    if introspect { builder.finish() } else { builder.disable_introspection().disable_suggestions().finish() }
}

/// The schema in its own language, as it is committed.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new().use_space_ident().prefer_single_line_descriptions().include_specified_by();
    builder().finish().sdl_with_options(options)
}

/// Interfaces that no field returns have to be named.
fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query, Mutation, Subscription)
        .register_output_type::<LiveEvent>()
        .register_output_type::<payloads::MutationPayload>()
}
