//! The two-person rule: what one person asks for, and another one has to approve.

use std::str::FromStr;

use serde_json::Value;

use super::{ApprovalId, ClientId, Credential, Invalid, JobId, Permission, Principal, RequestId, Role, Scopes};
use crate::clock::Timestamp;

/// A mutation that can be put under the rule. The strings are its name in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A VPN host is made known.
    RegisterServer,
    /// The host key of a VPN host is confirmed, or changed.
    PinHostKey,
    /// A VPN host is reached at another address.
    MoveServer,
    /// OpenVPN's configuration on a VPN host is confirmed.
    ConfirmConfiguration,
    /// Nobody is let in on a VPN host any more, for now.
    DisableServer,
    /// Clients may be let in there again.
    EnableServer,
    /// A VPN host is given up, for good.
    RetireServer,
    /// A client is recorded.
    CreateClient,
    /// A client is let in.
    ProvisionClient,
    /// A client is shut out.
    RevokeClient,
    /// A failed job is done again.
    RetryJob,
    /// A token is made.
    CreateToken,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::RegisterServer,
        Self::PinHostKey,
        Self::MoveServer,
        Self::ConfirmConfiguration,
        Self::DisableServer,
        Self::EnableServer,
        Self::RetireServer,
        Self::CreateClient,
        Self::ProvisionClient,
        Self::RevokeClient,
        Self::RetryJob,
        Self::CreateToken,
    ];

    /// Its name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RegisterServer => "registerServer",
            Self::PinHostKey => "pinHostKey",
            Self::MoveServer => "moveServer",
            Self::ConfirmConfiguration => "confirmConfiguration",
            Self::DisableServer => "disableServer",
            Self::EnableServer => "enableServer",
            Self::RetireServer => "retireServer",
            Self::CreateClient => "createClient",
            Self::ProvisionClient => "provisionClient",
            Self::RevokeClient => "revokeClient",
            Self::RetryJob => "retryJob",
            Self::CreateToken => "createToken",
        }
    }

    /// The names of all of them, for people.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    /// What both have to be allowed, who asks for it and who approves it.
    #[must_use]
    pub const fn permission(self) -> Permission {
        match self {
            Self::RegisterServer => Permission::RegisterServer,
            Self::PinHostKey
            | Self::MoveServer
            | Self::ConfirmConfiguration
            | Self::DisableServer
            | Self::EnableServer
            | Self::RetireServer => Permission::ManageServers,
            Self::CreateClient => Permission::CreateClient,
            Self::ProvisionClient => Permission::ProvisionClient,
            Self::RevokeClient => Permission::RevokeClient,
            Self::RetryJob => Permission::RetryJob,
            Self::CreateToken => Permission::ManageTokens,
        }
    }
}

impl FromStr for Operation {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|it| it.as_str() == text)
            .ok_or_else(|| Invalid::new(format!("what can need a second person is {}", Self::names())))
    }
}

/// Where a request for approval is in its life. All but `Pending` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApprovalState {
    /// It waits for a second person.
    Pending,
    /// It was approved, and done in the same transaction.
    Approved,
    /// A second person said no.
    Denied,
    /// Nobody decided in time.
    Expired,
}

impl ApprovalState {
    const ALL: [Self; 4] = [Self::Pending, Self::Approved, Self::Denied, Self::Expired];

    /// As SQL and audit have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
        }
    }
}

impl FromStr for ApprovalState {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == text);
        found.ok_or_else(|| Invalid::new("an approval is pending, approved, denied or expired"))
    }
}

/// Something that one person asked for and another one decides about.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// What is to be done.
    pub operation: Operation,
    /// With what. It never changes: what is approved is what is done.
    pub input: Value,
    /// To which client, if it is there already.
    pub client_id: Option<ClientId>,
    /// Who asked.
    pub requested_by: Principal,
    /// What they might do then.
    pub role: Role,
    /// And with their credential.
    pub scopes: Scopes,
    /// With which they came.
    pub credential: Credential,
    /// Their request.
    pub request_id: RequestId,
    /// When.
    pub requested_at: Timestamp,
    /// From then on nobody can approve it.
    pub expires_at: Timestamp,
    /// As it is stored: pending, perhaps, though its time is over.
    pub stored: ApprovalState,
    /// Who decided.
    pub decided_by: Option<Principal>,
    /// When it was decided, or found to be over.
    pub decided_at: Option<Timestamp>,
    /// Why it was denied.
    pub reason: Option<String>,
    /// The job that was queued when it was approved.
    pub job_id: Option<JobId>,
}

impl Approval {
    /// Where it is at this time. That its time is over needs nobody to notice.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> ApprovalState {
        if self.stored == ApprovalState::Pending && self.expires_at <= now {
            ApprovalState::Expired
        } else {
            self.stored
        }
    }

    /// The input as people may see it.
    #[must_use]
    pub fn shown(&self) -> Value {
        let mut input = self.input.clone();
        if let Some(input) = input.as_object_mut() {
            input.remove("secretHash");
        }
        input
    }
}
