//! Following live: a subscription that comes back with its last cursor when its connection is lost.

use std::time::Duration;

use graphql_client::GraphQLQuery;
use reqwest::Response;

use crate::{
    api::{self, Api},
    failure::Failure,
    output,
    sse::{Event, Events},
};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A subscription that can be resumed.
pub(crate) trait Resumable: GraphQLQuery {
    /// What is followed, such as a client's id.
    type Subject;

    /// The variables to go on behind this cursor.
    fn behind(subject: &Self::Subject, after: Option<String>) -> Self::Variables;
    /// Where this event is.
    fn cursor(event: &Self::ResponseData) -> &str;
}

/// A subscription that is being followed.
pub(crate) struct Follow<'a, Q: Resumable> {
    api: &'a Api,
    subject: Q::Subject,
    after: Option<String>,
    /// Whether a server that cannot be reached is waited for from the beginning.
    patient: bool,
    pause: Duration,
    open: Option<(Response, Events)>,
}

impl<'a, Q: Resumable> Follow<'a, Q> {
    /// From `after`, or from now on.
    pub(crate) fn new(api: &'a Api, subject: Q::Subject, after: Option<String>) -> Self {
        Self { api, subject, after, patient: false, pause: FIRST_PAUSE, open: None }
    }

    /// Waits for the server even before the first event has come.
    pub(crate) fn patient(mut self) -> Self {
        self.patient = true;
        self
    }

    /// The next event; `None` when the subscription is over. At least once each, in order.
    pub(crate) async fn next(&mut self) -> Result<Option<Q::ResponseData>, Failure> {
        loop {
            match self.try_next().await {
                Ok(Some(event)) => {
                    let cursor = Q::cursor(&event).to_owned();
                    (self.patient, self.pause) = (true, FIRST_PAUSE);
                    // What came last before the connection was lost may come again.
                    let again = self.after.as_ref() == Some(&cursor);
                    self.after = Some(cursor);
                    if !again {
                        return Ok(Some(event));
                    }
                }
                Ok(None) => return Ok(None),
                Err(Failure::Unanswered { message, .. }) if self.patient => {
                    self.open = None;
                    // Once for each time that it is lost.
                    if self.pause == FIRST_PAUSE {
                        output::note(&format!("{message}; coming back until it answers"));
                    }
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn try_next(&mut self) -> Result<Option<Q::ResponseData>, Failure> {
        loop {
            let (response, events) = match &mut self.open {
                Some(open) => open,
                none => {
                    let response = self.api.stream::<Q>(Q::behind(&self.subject, self.after.clone())).await?;
                    none.insert((response, Events::default()))
                }
            };
            match events.take() {
                Some(Event::Complete) => return Ok(None),
                Some(Event::Next(data)) => {
                    let event = api::parse(&data).ok_or_else(|| Failure::Odd("an event is no answer".to_owned()))?;
                    return event.map(Some);
                }
                None => {}
            }
            match response.chunk().await {
                Ok(Some(piece)) if events.feed(&piece) => {}
                Ok(Some(_)) => return Err(Failure::Refused("an event of the server does not end".to_owned())),
                // A server that ends closes its streams without `complete`.
                Ok(None) => return Err(Failure::unanswered("the server closed the stream of events")),
                Err(error) => return Err(self.api.cut(&error)),
            }
        }
    }
}
