//! `approval list | approve | deny`.

use clap::{Args, Subcommand, ValueEnum};

use crate::{
    api::{self, Api},
    cli::Limit,
    failure::Failure,
    operations::{Approvals, ApproveRequest, DenyRequest, approvals, approve_request, deny_request},
    output::{Column, Output},
    page::{self, page},
};

const ROW: &[Column] = &[
    ("ID", "/id"),
    ("OPERATION", "/operation"),
    ("CLIENT", "/client/name"),
    ("STATE", "/state"),
    ("ASKED FOR BY", "/requestedBy"),
    ("ASKED FOR", "/requestedAt"),
    ("EXPIRES", "/expiresAt"),
    ("DECIDED BY", "/decidedBy"),
    ("JOB", "/job/id"),
    ("WITH", "/input"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Approval {
    /// List what somebody asked for, newest first.
    List(List),
    /// Approve what somebody else asked for: it is done in the same instant.
    Approve {
        /// Its id, `apr_…`.
        approval: String,
    },
    /// Deny what somebody else asked for.
    Deny {
        /// Its id, `apr_…`.
        approval: String,
        /// Why: 1 to 500 characters. It goes into the audit log.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum State {
    Pending,
    Approved,
    Denied,
    Expired,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those in this state.
    #[arg(long, value_enum)]
    state: Option<State>,
    #[command(flatten)]
    limit: Limit,
}

impl Approval {
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(api, output).await,
            Self::Approve { approval } => {
                let input = approve_request::ApproveRequestInput { approval_id: approval };
                let asked = api.ask::<ApproveRequest>(approve_request::Variables { input }).await;
                let payload = asked.map_err(|failure| failure.if_perhaps_done(LOOK))?.approve_request;
                output.list(&[api::taken(payload.approval, &(), &payload.user_errors)?], ROW)
            }
            Self::Deny { approval, reason } => {
                let input = deny_request::DenyRequestInput { approval_id: approval, reason };
                let asked = api.ask::<DenyRequest>(deny_request::Variables { input }).await;
                let payload = asked.map_err(|failure| failure.if_perhaps_done(LOOK))?.deny_request;
                output.list(&[api::taken(payload.approval, &(), &payload.user_errors)?], ROW)
            }
        }
    }
}

const LOOK: &str = "It may have been decided all the same: see `vpnctl approval list`";

impl List {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let state = self.state.map(|state| match state {
            State::Pending => approvals::ApprovalState::PENDING,
            State::Approved => approvals::ApprovalState::APPROVED,
            State::Denied => approvals::ApprovalState::DENIED,
            State::Expired => approvals::ApprovalState::EXPIRED,
        });
        let filter = approvals::ApprovalFilter { state, operation: None, requested_by: None };
        let ask = async |first, after| {
            let variables = approvals::Variables { filter: Some(filter.clone()), first: Some(first), after };
            Ok(page!(api.ask::<Approvals>(variables).await?.approvals))
        };
        output.list(&page::all(&self.limit, ask).await?, ROW)
    }
}
