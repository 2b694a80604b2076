//! What waits for a second person.

use async_graphql::{Context, ID, Json, Object};
use serde_json::Value;
use vpn_core::{domain::Principal, service::SeenApproval};

use super::{ApprovalState, DateTime, Job, TwoPersonOperation, VpnClient};
use crate::schema::{Nullable, Scope};

#[derive(Clone)]
pub(crate) struct Approval(pub(crate) SeenApproval);

impl From<SeenApproval> for Approval {
    fn from(seen: SeenApproval) -> Self {
        Self(seen)
    }
}

/// Something that one person asked for, and that a second person has to approve before it is done.
#[Object]
impl Approval {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        ID(self.0.approval.id.to_string())
    }

    /// What is to be done.
    async fn operation(&self) -> TwoPersonOperation {
        self.0.approval.operation.into()
    }

    /// With what, as it was handed in. It never changes: what is approved is what is done.
    async fn input(&self) -> Json<Value> {
        Json(self.0.approval.shown())
    }

    /// Where it is now.
    async fn state(&self) -> ApprovalState {
        self.0.state.into()
    }

    /// Who asked.
    async fn requested_by(&self) -> &str {
        self.0.approval.requested_by.as_str()
    }

    /// When.
    async fn requested_at(&self) -> DateTime {
        self.0.approval.requested_at.into()
    }

    /// From then on nobody can approve it.
    async fn expires_at(&self) -> DateTime {
        self.0.approval.expires_at.into()
    }

    /// Who approved or denied it; null when nobody has.
    async fn decided_by(&self) -> Option<&str> {
        self.0.approval.decided_by.as_ref().map(Principal::as_str)
    }

    /// When it was approved or denied; null when it was not.
    async fn decided_at(&self) -> Option<DateTime> {
        self.0.approval.decided_by.as_ref().and(self.0.approval.decided_at).map(DateTime)
    }

    /// Why it was denied; null when it was not.
    async fn reason(&self) -> Option<&str> {
        self.0.approval.reason.as_deref()
    }

    /// The client that it is about; null when that is not there yet, or it is about none.
    async fn client(&self, ctx: &Context<'_>) -> Nullable<VpnClient> {
        Scope::find(ctx, self.0.approval.client_id?).await
    }

    /// The job that was queued when it was approved; null when none was.
    async fn job(&self, ctx: &Context<'_>) -> Nullable<Job> {
        Scope::find(ctx, self.0.approval.job_id?).await
    }
}
