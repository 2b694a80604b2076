//! What a caller can put right.

use async_graphql::SimpleObject;

use super::enums::UserErrorCode;

/// A problem that the caller can put right. Nothing was changed.
#[derive(SimpleObject, Clone, Debug)]
pub(crate) struct UserError {
    /// For programs.
    pub(crate) code: UserErrorCode,
    /// For people: what is wrong and what would be right. May change.
    pub(crate) message: String,
    /// The path into `input`, such as `["name"]`; null when no one field is at fault.
    pub(crate) field: Option<Vec<String>>,
}
