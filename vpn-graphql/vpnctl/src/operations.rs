//! The operations, with the types that `graphql_client` makes of them; what does not fit the schema does
//! not compile.

use graphql_client::GraphQLQuery;

/// RFC 3339, as it came.
type DateTime = String;
/// Anything.
#[expect(clippy::upper_case_acronyms, reason = "the schema's name for it")]
type JSON = serde_json::Value;

macro_rules! operations {
    ($($name:ident),* $(,)?) => {$(
        #[derive(GraphQLQuery)]
        #[graphql(
            schema_path = "../schema.graphql",
            query_path = "operations.graphql",
            response_derives = "Debug, Clone, PartialEq, Serialize",
            variables_derives = "Debug, Clone",
            skip_serializing_none
        )]
        pub(crate) struct $name;
    )*};
}

operations!(
    Whoami,
    Health,
    Servers,
    Drift,
    Clients,
    Client,
    Jobs,
    Job,
    Log,
    Tokens,
    Approvals,
    RegisterServer,
    PinHostKey,
    MoveServer,
    ConfirmConfiguration,
    DisableServer,
    EnableServer,
    RetireServer,
    CreateClient,
    ProvisionClient,
    RevokeClient,
    RetryJob,
    DeliverProfile,
    CreateToken,
    RevokeToken,
    ApproveRequest,
    DenyRequest,
    WatchClient,
    WatchLog,
);

#[cfg(test)]
mod tests {
    use super::*;

    /// So that a server that runs only listed documents can list this one by its hash.
    #[test]
    fn the_document_that_is_sent_is_the_file_as_it_is() {
        let body = Whoami::build_query(whoami::Variables);
        assert_eq!((body.query, body.operation_name), (include_str!("../operations.graphql"), "Whoami"));
    }
}
