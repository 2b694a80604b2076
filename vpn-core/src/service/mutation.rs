//! What all mutations have in common: they are permitted, checked, done once for an idempotency key, in one
//! transaction with their entries in the audit log; or, under the two-person rule, asked for.

use std::future::Future;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Platform, once::Call};
use crate::{
    audit::Entry,
    boundary::{Boundary, reach},
    domain::{Caller, ClientId, Job, Operation},
    error::Error,
    store::{Remembered, StoreError, Tx},
};

/// A mutation's input, and what is done with it.
pub(super) trait Mutation: Serialize + DeserializeOwned + Send + Sync {
    /// Its name, and what it needs.
    const OPERATION: Operation;
    /// The input, checked as far as it can be without the database.
    type Checked: Send + Sync;
    /// What it gives.
    type Made: Send;

    /// With the same key a repeat gives the first answer again.
    fn key(&self) -> Option<&str>;

    fn check(&self, platform: &Platform, caller: &Caller) -> Result<Self::Checked, Error>;

    /// The work, all but the commit. Whatever it locks, it locks first.
    fn perform(
        platform: &Platform,
        tx: &mut Tx,
        caller: &Caller,
        checked: &Self::Checked,
    ) -> impl Future<Output = Result<Done<Self::Made>, Error>> + Send;

    /// What an earlier call has made.
    fn again(tx: &mut Tx, made: &Remembered) -> impl Future<Output = Result<Self::Made, Error>> + Send;

    /// Something that has to be unique exists already.
    fn taken(_: &Self::Checked, error: StoreError) -> Error {
        Error::Store(error)
    }

    /// The job that it queued.
    fn job(_: &Self::Made) -> Option<&Job> {
        None
    }
}

/// What the work came to.
#[expect(clippy::large_enum_variant, reason = "short-lived, and one a mutation")]
pub(super) enum Done<T> {
    /// It is done, once these entries are written.
    New { made: T, first: Entry, more: Vec<Entry>, remembered: Remembered },
    /// It was done before; nothing is to be changed.
    Before { made: T, remembered: Remembered },
}

/// How an attempt ended.
enum Outcome<T> {
    New(T),
    Before(T),
}

impl Platform {
    /// Does it, or, under the two-person rule, asks for it: then it is [`Error::AwaitsApproval`].
    pub(super) async fn run<M: Mutation>(&self, caller: &Caller, input: &M) -> Result<M::Made, Error> {
        self.authorise(caller, M::OPERATION.permission()).await?;
        let checked = input.check(self, caller)?;
        let call = Call::new(caller, input.key(), M::OPERATION.as_str(), input)?;
        let done = self.transact(|| self.attempt(caller, input, &checked, &call)).await;
        match done.map_err(|error| unless_taken::<M>(&checked, error))? {
            Outcome::New(made) => {
                if let Some(job) = M::job(&made) {
                    reach(Boundary::Asked).map_err(StoreError::from)?;
                    self.ring(job).await;
                }
                Ok(made)
            }
            Outcome::Before(made) => Ok(made),
        }
    }

    async fn attempt<M: Mutation>(
        &self,
        caller: &Caller,
        input: &M,
        checked: &M::Checked,
        call: &Call<'_>,
    ) -> Result<Outcome<M::Made>, Error> {
        let mut tx = self.store().begin().await?;
        if let Some(made) = call.repeated(&mut tx).await? {
            return self.repeat::<M>(&mut tx, &made).await;
        }
        let done = match M::perform(self, &mut tx, caller, checked).await {
            Ok(done) => done,
            // A repeat that came at the same time has waited for the first one's locks, and sees now what
            // that one made.
            Err(Error::Rejected(why)) => {
                return match call.repeated(&mut tx).await? {
                    Some(made) => self.repeat::<M>(&mut tx, &made).await,
                    None => Err(Error::Rejected(why)),
                };
            }
            Err(other) => return Err(other),
        };
        match done {
            Done::Before { made, remembered } => {
                // The same key gives the same answer, whatever becomes of it later.
                call.remember(&mut tx, remembered).await?;
                tx.commit_bookkeeping().await?;
                Ok(Outcome::Before(made))
            }
            Done::New { remembered, .. } if self.two_person.covers(M::OPERATION) => {
                // It was only tried: what could not be done now is not asked for.
                drop(tx);
                Err(self.ask_for_approval(caller, M::OPERATION, stored(input)?, remembered.client_id, call).await?)
            }
            Done::New { made, first, more, remembered } => {
                call.remember(&mut tx, remembered).await?;
                self.commit(tx, first, more).await?;
                Ok(Outcome::New(made))
            }
        }
    }

    async fn repeat<M: Mutation>(&self, tx: &mut Tx, made: &Remembered) -> Result<Outcome<M::Made>, Error> {
        if let Some(id) = made.approval_id {
            let (found, now) = tx.approval(id).await?;
            let approval = found.ok_or_else(|| Error::not_found("idempotencyKey", "approval"))?;
            return Err(Error::awaits(approval, now));
        }
        M::again(tx, made).await.map(Outcome::Before)
    }

    /// Does, in this transaction, what was approved: gives the entries that tell of it, and the job.
    pub(super) async fn carry_out<M: Mutation>(
        &self,
        tx: &mut Tx,
        requester: &Caller,
        input: &Value,
    ) -> Result<(Vec<Entry>, Option<Job>), Error> {
        let input: M = serde_json::from_value(input.clone())
            .map_err(|error| StoreError::Damaged { table: "approvals", what: format!("column `input`: {error}") })?;
        let checked = input.check(self, requester)?;
        let done = M::perform(self, tx, requester, &checked).await;
        Ok(match done.map_err(|error| unless_taken::<M>(&checked, error))? {
            Done::New { made, first, more, .. } => {
                (std::iter::once(first).chain(more).collect(), M::job(&made).cloned())
            }
            Done::Before { made, .. } => (Vec::new(), M::job(&made).cloned()),
        })
    }
}

fn stored(input: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(input)
        .map_err(|error| Error::invalid("input", format!("the input cannot be written down: {error}")))
}

fn unless_taken<M: Mutation>(checked: &M::Checked, error: Error) -> Error {
    match error {
        Error::Store(error @ StoreError::Duplicate(_)) => M::taken(checked, error),
        other => other,
    }
}

/// The client that something is about.
pub(super) const fn about(client: ClientId) -> Remembered {
    Remembered { client_id: Some(client), job_id: None, server_id: None, approval_id: None }
}
