//! The two-person rule: some mutations are not done when they are asked for, but when a second person has
//! approved them, in the transaction that says so.
//!
//! The second person is another principal, whichever credential they come with; neither may have a token
//! that the other has made for them. (Whoever may make tokens can make one for somebody who makes one for a
//! third: put `createToken` under the rule as well.) Both have to be allowed what is done, at that moment.

use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde_json::Value;

use super::{
    CreateClient, Platform, ProvisionClient, RegisterServer, RetryJob, RevokeClient,
    once::Call,
    servers::{ConfirmConfiguration, DisableServer, EnableServer, MoveServer, PinHostKey, RetireServer},
    tokens::TokenRequest,
};
use crate::{
    audit::{Action, Entry},
    clock::Timestamp,
    domain::{
        Approval, ApprovalId, ApprovalState, Caller, ClientId, Credential, Job, Operation, Permission, Principal,
        Reason,
    },
    error::{Error, RejectionCode},
    store::{ApprovalFilter, Decision, Page, PageRequest, Remembered, Tx},
};

/// Which mutations need a second person.
#[derive(Clone, Debug)]
pub struct TwoPersonRule {
    /// These.
    pub operations: Vec<Operation>,
    /// How long a request waits for a decision.
    pub lasts: Duration,
}

impl Default for TwoPersonRule {
    fn default() -> Self {
        Self { operations: Vec::new(), lasts: Duration::from_hours(24) }
    }
}

impl TwoPersonRule {
    pub(super) fn covers(&self, operation: Operation) -> bool {
        self.operations.contains(&operation)
    }
}

/// An approval, and where it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenApproval {
    /// As it is stored.
    pub approval: Approval,
    /// Where it is, by the database's clock.
    pub state: ApprovalState,
}

impl SeenApproval {
    fn at(approval: Approval, now: Timestamp) -> Self {
        Self { state: approval.state(now), approval }
    }
}

/// What waits for a second person now.
#[derive(Debug)]
pub struct Awaited {
    /// The request.
    pub seen: SeenApproval,
    /// Of a token that is asked for: the token itself, which is shown this once, and admits nobody until it is
    /// approved.
    pub secret: Option<SecretString>,
}

impl Error {
    pub(super) fn awaits(approval: Approval, now: Timestamp) -> Self {
        Self::AwaitsApproval(Box::new(Awaited { seen: SeenApproval::at(approval, now), secret: None }))
    }
}

enum Verdict {
    Approve,
    Deny(Reason),
}

impl Platform {
    /// With the two-person rule for some mutations.
    #[must_use]
    pub fn with_two_person_rule(mut self, rule: TwoPersonRule) -> Self {
        self.two_person = std::sync::Arc::new(rule);
        self
    }

    /// Stores the request, or finds the same one that waits already. Gives what the caller is told.
    pub(super) async fn ask_for_approval(
        &self,
        caller: &Caller,
        operation: Operation,
        input: Value,
        client_id: Option<ClientId>,
        call: &Call<'_>,
    ) -> Result<Error, Error> {
        let mut tx = self.store().begin().await?;
        let at = tx.at();
        let new = Approval {
            id: ApprovalId::generate(self.ambient()),
            operation,
            input,
            // A client that is to be recorded is not there yet.
            client_id: client_id.filter(|_| operation != Operation::CreateClient),
            requested_by: caller.principal.clone(),
            role: caller.role,
            scopes: caller.scopes,
            credential: caller.credential,
            request_id: caller.request_id,
            requested_at: at,
            expires_at: at.plus(self.two_person.lasts),
            stored: ApprovalState::Pending,
            decided_by: None,
            decided_at: None,
            reason: None,
            job_id: None,
        };
        let waiting = tx.waiting_approval(&new).await?;
        let approval = waiting.clone().unwrap_or(new);
        let made =
            Remembered { client_id: approval.client_id, approval_id: Some(approval.id), ..Remembered::default() };
        call.remember(&mut tx, made).await?;
        if waiting.is_some() {
            tx.commit_bookkeeping().await?;
        } else {
            tx.insert_approval(&approval).await?;
            let mut entry = Entry::by(caller, Action::ApprovalRequested)
                .approval(&approval)
                .with("input", approval.shown())
                .with("expiresAt", approval.expires_at.to_string());
            if let Some(id) = approval.client_id {
                entry = entry.with("clientId", id.to_string());
            }
            self.commit(tx, entry, Vec::new()).await?;
        }
        Ok(Error::awaits(approval, at))
    }

    /// The approval with this id.
    pub async fn approval(&self, caller: &Caller, id: ApprovalId) -> Result<Option<SeenApproval>, Error> {
        self.authorise(caller, Permission::ReadApprovals).await?;
        let (found, now) = self.store().read().await?.approval(id).await?;
        Ok(found.map(|approval| SeenApproval::at(approval, now)))
    }

    /// A page of approvals, newest first.
    pub async fn approvals(
        &self,
        caller: &Caller,
        filter: &ApprovalFilter,
        page: &PageRequest<ApprovalId>,
    ) -> Result<Page<SeenApproval>, Error> {
        self.authorise(caller, Permission::ReadApprovals).await?;
        let (page, now) = self.store().read().await?.approvals(filter, page).await?;
        let items = page.items.into_iter().map(|approval| SeenApproval::at(approval, now)).collect();
        Ok(Page { items, has_next: page.has_next, has_previous: page.has_previous })
    }

    /// Approves what somebody else asked for, and does it. Asked again by the same person, it gives the
    /// first result.
    pub async fn approve_request(&self, caller: &Caller, id: &str) -> Result<SeenApproval, Error> {
        self.decide(caller, id, &Verdict::Approve).await
    }

    /// Denies what somebody else asked for.
    pub async fn deny_request(&self, caller: &Caller, id: &str, reason: &str) -> Result<SeenApproval, Error> {
        let reason = reason.parse().map_err(|bad| Error::invalid("reason", format!("{bad}")));
        self.authorise(caller, Permission::DecideApproval).await?;
        self.decide(caller, id, &Verdict::Deny(reason?)).await
    }

    async fn decide(&self, caller: &Caller, id: &str, verdict: &Verdict) -> Result<SeenApproval, Error> {
        self.authorise(caller, Permission::DecideApproval).await?;
        let unknown = || Error::not_found("approvalId", "approval");
        let id: ApprovalId = id.parse().map_err(|_| unknown())?;
        let asked = self.store().read().await?.approval(id).await?.0.ok_or_else(unknown)?;
        self.authorise(caller, asked.operation.permission()).await?;
        if self.is_one_person(caller, &asked).await? {
            return Err(self.refuse_own(caller, &asked).await?);
        }
        let (decided, job) = self.transact(|| self.try_decide(caller, id, verdict)).await?;
        if let Some(job) = job {
            self.ring(&job).await;
        }
        Ok(decided)
    }

    /// Whether it is the requester who comes here again, or one of the two has a token that the other made.
    async fn is_one_person(&self, caller: &Caller, asked: &Approval) -> Result<bool, Error> {
        Ok(caller.principal.is_same_person(&asked.requested_by)
            || self.was_made_by(caller.credential, &asked.requested_by).await?
            || self.was_made_by(asked.credential, &caller.principal).await?)
    }

    async fn was_made_by(&self, credential: Credential, maker: &Principal) -> Result<bool, Error> {
        let Some(id) = credential.token() else { return Ok(false) };
        let token = self.store().read().await?.token(id).await?.0;
        Ok(token.is_none_or(|token| maker.is_called(&token.created_by)))
    }

    /// On record as a refusal: it is what the rule is there for.
    async fn refuse_own(&self, caller: &Caller, asked: &Approval) -> Result<Error, Error> {
        let entry = Entry::by(caller, Action::PermissionRefused)
            .with("permission", Permission::DecideApproval.as_str())
            .with("approvalId", asked.id.to_string())
            .with("why", "the same person");
        self.record_refusal(self.refusals.of_permission(caller.principal.as_str(), Instant::now()), entry).await?;
        let message = "a second person has to decide: not who asked, and neither with a token that the other made";
        Ok(Error::rejected(RejectionCode::SamePerson, Some("approvalId"), message))
    }

    async fn try_decide(
        &self,
        caller: &Caller,
        id: ApprovalId,
        verdict: &Verdict,
    ) -> Result<(SeenApproval, Option<Job>), Error> {
        let mut tx = self.store().begin().await?;
        let asked = tx.lock_approval(id).await?.ok_or_else(|| Error::not_found("approvalId", "approval"))?;
        match (asked.state(tx.at()), verdict) {
            (ApprovalState::Pending, Verdict::Approve) => self.approve(tx, caller, asked).await,
            (ApprovalState::Pending, Verdict::Deny(reason)) => self.deny(tx, caller, asked, reason).await,
            (ApprovalState::Approved, Verdict::Approve) | (ApprovalState::Denied, Verdict::Deny(_))
                if asked.decided_by.as_ref() == Some(&caller.principal) =>
            {
                let at = tx.at();
                Ok((SeenApproval::at(asked, at), None))
            }
            (ApprovalState::Expired, _) => {
                if asked.stored == ApprovalState::Pending {
                    tx.expire_approval(id).await?;
                    self.commit(tx, Entry::expired(&asked), Vec::new()).await?;
                }
                Err(Error::wrong_state("nobody decided in time: it has to be asked for again"))
            }
            (state, _) => {
                let by = asked.decided_by.map(|by| format!(" by {by}")).unwrap_or_default();
                Err(Error::wrong_state(format!("it was {}{by} already", state.as_str())))
            }
        }
    }

    async fn approve(
        &self,
        mut tx: Tx,
        caller: &Caller,
        asked: Approval,
    ) -> Result<(SeenApproval, Option<Job>), Error> {
        let requester = requester(&mut tx, &asked).await?;
        let Some(requester) = requester.filter(|it| it.may(asked.operation.permission())) else {
            return Err(Error::wrong_state("who asked for it may not do it any more: deny it, or let it end"));
        };
        let (entries, job) = self.dispatch(&mut tx, &requester, &asked).await?;
        let by = caller.principal.as_str();
        let job_id = job.as_ref().map(|job| job.id);
        let decision = Decision { state: ApprovalState::Approved, by: Some(by), reason: None, job_id };
        tx.decide_approval(asked.id, &decision).await?;
        let mark = |entry: Entry| entry.with("approvalId", asked.id.to_string()).with("approvedBy", by);
        let more = entries.into_iter().map(mark).collect();
        let mut entry = Entry::by(caller, Action::ApprovalApproved).approval(&asked);
        if let Some(id) = job_id {
            entry = entry.with("jobId", id.to_string());
        }
        let at = tx.at();
        self.commit(tx, entry, more).await?;
        let approval = Approval {
            stored: ApprovalState::Approved,
            decided_by: Some(caller.principal.clone()),
            decided_at: Some(at),
            job_id,
            ..asked
        };
        Ok((SeenApproval::at(approval, at), job))
    }

    async fn deny(
        &self,
        mut tx: Tx,
        caller: &Caller,
        asked: Approval,
        reason: &Reason,
    ) -> Result<(SeenApproval, Option<Job>), Error> {
        let (by, reason) = (caller.principal.as_str(), reason.as_str());
        let decision = Decision { state: ApprovalState::Denied, by: Some(by), reason: Some(reason), job_id: None };
        tx.decide_approval(asked.id, &decision).await?;
        let entry = Entry::by(caller, Action::ApprovalDenied).approval(&asked).with("reason", reason);
        let at = tx.at();
        self.commit(tx, entry, Vec::new()).await?;
        let approval = Approval {
            stored: ApprovalState::Denied,
            decided_by: Some(caller.principal.clone()),
            decided_at: Some(at),
            reason: Some(reason.to_owned()),
            ..asked
        };
        Ok((SeenApproval::at(approval, at), None))
    }

    async fn dispatch(
        &self,
        tx: &mut Tx,
        requester: &Caller,
        asked: &Approval,
    ) -> Result<(Vec<Entry>, Option<Job>), Error> {
        let input = &asked.input;
        match asked.operation {
            Operation::RegisterServer => self.carry_out::<RegisterServer>(tx, requester, input).await,
            Operation::PinHostKey => self.carry_out::<PinHostKey>(tx, requester, input).await,
            Operation::MoveServer => self.carry_out::<MoveServer>(tx, requester, input).await,
            Operation::ConfirmConfiguration => self.carry_out::<ConfirmConfiguration>(tx, requester, input).await,
            Operation::DisableServer => self.carry_out::<DisableServer>(tx, requester, input).await,
            Operation::EnableServer => self.carry_out::<EnableServer>(tx, requester, input).await,
            Operation::RetireServer => self.carry_out::<RetireServer>(tx, requester, input).await,
            Operation::CreateClient => self.carry_out::<CreateClient>(tx, requester, input).await,
            Operation::ProvisionClient => self.carry_out::<ProvisionClient>(tx, requester, input).await,
            Operation::RevokeClient => self.carry_out::<RevokeClient>(tx, requester, input).await,
            Operation::RetryJob => self.carry_out::<RetryJob>(tx, requester, input).await,
            Operation::CreateToken => self.carry_out::<TokenRequest>(tx, requester, input).await,
        }
    }
}

/// Who asked, as they are now; `None` if the token they asked with does not hold any more. Of an identity
/// provider's token only what it said then is known.
async fn requester(tx: &mut Tx, asked: &Approval) -> Result<Option<Caller>, Error> {
    let mut caller = Caller {
        principal: asked.requested_by.clone(),
        role: asked.role,
        scopes: asked.scopes,
        credential: asked.credential,
        expires_at: None,
        request_id: asked.request_id,
    };
    if let Credential::Token(id) = asked.credential {
        let (found, now) = tx.token(id).await?;
        let Some(token) = found.filter(|token| token.holds(now)) else { return Ok(None) };
        (caller.role, caller.scopes) = (token.role, token.scopes);
    }
    Ok(Some(caller))
}
