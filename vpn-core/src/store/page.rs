//! Pages of lists: newest first, keyset by id, so that inserts never shift them.

use crate::{
    clock::Timestamp,
    domain::{ApprovalId, ClientId, JobId, TokenId},
};

/// From which end a page is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// From the newest.
    Newest,
    /// From the oldest.
    Oldest,
}

/// Which part of a list: so many entries of those between two keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageRequest<K> {
    /// How many, at most.
    pub size: u32,
    /// From which end of what lies between the keys.
    pub from: End,
    /// Only what comes behind this key, which is older.
    pub after: Option<K>,
    /// Only what comes before this key, which is newer.
    pub before: Option<K>,
}

impl<K> PageRequest<K> {
    /// The largest page.
    pub const MAX: u32 = 100;

    /// The first `size` entries, from 1 to [`Self::MAX`].
    #[must_use]
    pub fn first(size: u32) -> Self {
        Self { size: size.clamp(1, Self::MAX), from: End::Newest, after: None, before: None }
    }

    /// The last `size` entries, from 1 to [`Self::MAX`]; in the same order.
    #[must_use]
    pub fn last(size: u32) -> Self {
        Self { from: End::Oldest, ..Self::first(size) }
    }

    /// How many rows to ask for: one more than the page holds tells whether there is another page.
    pub(super) fn limit(&self) -> i64 {
        i64::from(self.size) + 1
    }

    /// How the rows are to be sorted.
    pub(super) fn order(&self, key: &str) -> String {
        match self.from {
            End::Newest => format!("{key} DESC"),
            End::Oldest => key.to_owned(),
        }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries, newest first.
    pub items: Vec<T>,
    /// Whether there may be more behind them.
    pub has_next: bool,
    /// Whether there may be more before them.
    pub has_previous: bool,
}

impl<T> Page<T> {
    /// Nothing at all.
    pub(super) const fn empty() -> Self {
        Self { items: Vec::new(), has_next: false, has_previous: false }
    }

    /// What was asked for, of rows in [`PageRequest::order`]. On the side where nothing was counted, there
    /// is more if a key was given there: the entry with that key, for one.
    pub(super) fn cut<K>(mut items: Vec<T>, asked: &PageRequest<K>) -> Self {
        let size = usize::try_from(asked.size).unwrap_or(usize::MAX);
        let more = items.len() > size;
        items.truncate(size);
        match asked.from {
            End::Newest => Self { items, has_next: more, has_previous: asked.after.is_some() },
            End::Oldest => {
                items.reverse();
                Self { items, has_next: asked.before.is_some(), has_previous: more }
            }
        }
    }
}

/// Instants from one to another. What is left out has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// At this instant or later.
    pub since: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
}

/// Whether a name that somebody looks for could be stored at all: 1 to 100 printable ASCII characters.
/// Of others, databases disagree on how to compare them, or refuse them.
pub(super) fn may_be_stored(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The conditions of a filtered list. Values are bound, never written into the text.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    text: String,
    values: Vec<Bound>,
}

#[derive(Debug)]
pub(super) enum Bound {
    Text(String),
    Int(i64),
}

impl From<String> for Bound {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<i64> for Bound {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<ClientId> for Bound {
    fn from(id: ClientId) -> Self {
        Self::Text(id.to_string())
    }
}

impl From<JobId> for Bound {
    fn from(id: JobId) -> Self {
        Self::Text(id.to_string())
    }
}

impl From<TokenId> for Bound {
    fn from(id: TokenId) -> Self {
        Self::Text(id.to_string())
    }
}

impl From<ApprovalId> for Bound {
    fn from(id: ApprovalId) -> Self {
        Self::Text(id.to_string())
    }
}

type AnyQuery<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

impl Conditions {
    /// `AND {left} {value}`, where `left` is such as `status =`.
    pub(super) fn add(&mut self, left: &str, value: Option<impl Into<Bound>>) {
        if let Some(value) = value {
            self.values.push(value.into());
            let place = self.values.len().to_string();
            self.push(&[left, " $", &place]);
        }
    }

    /// Only what is in this range.
    pub(super) fn within(&mut self, column: &str, range: TimeRange) {
        self.add(&format!("{column} >="), range.since.map(Timestamp::micros));
        self.add(&format!("{column} <"), range.until.map(Timestamp::micros));
    }

    /// Only what lies between the keys of the page that was asked for.
    pub(super) fn between<K: Copy + Into<Bound>>(&mut self, key: &str, page: &PageRequest<K>) {
        self.add(&format!("{key} <"), page.after);
        self.add(&format!("{key} >"), page.before);
    }

    /// Only rows whose `column` is one of `keys`, of which there is at least one.
    pub(super) fn among(&mut self, column: &str, keys: &[String]) {
        let first = self.values.len() + 1;
        let places: Vec<String> = (first..first + keys.len()).map(|place| format!("${place}")).collect();
        self.push(&[column, " IN (", &places.join(", "), ")"]);
        self.values.extend(keys.iter().cloned().map(Bound::Text));
    }

    fn push(&mut self, parts: &[&str]) {
        self.text.push_str(if self.text.is_empty() { " WHERE " } else { " AND " });
        self.text.extend(parts.iter().copied());
    }

    /// `WHERE …`, or nothing.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The place of a parameter that is bound behind all of these.
    pub(super) fn next_place(&self) -> usize {
        self.values.len() + 1
    }

    /// `AND {left} ({one}, {other})`, where `left` is such as `(at, seq) <`.
    pub(super) fn add_pair(&mut self, left: &str, one: impl Into<Bound>, other: impl Into<Bound>) {
        let first = self.next_place();
        self.values.extend([one.into(), other.into()]);
        self.push(&[left, " ", &format!("(${first}, ${})", first + 1)]);
    }

    /// The whole query; `LIMIT` is its last parameter.
    pub(super) fn select(&self, columns: &str, table: &str, order: &str) -> String {
        format!("SELECT {columns} FROM {table}{} ORDER BY {order} LIMIT ${}", self.text, self.next_place())
    }

    pub(super) fn bind(self, mut query: AnyQuery<'_>) -> AnyQuery<'_> {
        for value in self.values {
            query = match value {
                Bound::Text(text) => query.bind(text),
                Bound::Int(int) => query.bind(int),
            };
        }
        query
    }
}
