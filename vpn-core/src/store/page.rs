//! Pages of lists: newest first, keyset by id, so that inserts never shift them.

/// Which part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<K> {
    /// How many, at most.
    pub first: u32,
    /// Only what comes behind this key.
    pub after: Option<K>,
}

impl<K> PageRequest<K> {
    /// The largest page.
    pub const MAX: u32 = 100;

    /// The first `first` entries, from 1 to [`Self::MAX`].
    #[must_use]
    pub fn first(first: u32) -> Self {
        Self { first: first.clamp(1, Self::MAX), after: None }
    }

    /// How many rows to ask for: one more than the page holds tells whether there is another page.
    pub(super) fn limit(&self) -> i64 {
        i64::from(self.first) + 1
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries, newest first.
    pub items: Vec<T>,
    /// Whether there are more behind them.
    pub has_next: bool,
}

impl<T> Page<T> {
    /// Nothing at all.
    pub(super) const fn empty() -> Self {
        Self { items: Vec::new(), has_next: false }
    }

    pub(super) fn cut(mut items: Vec<T>, first: u32) -> Self {
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let has_next = items.len() > first;
        items.truncate(first);
        Self { items, has_next }
    }
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

type AnyQuery<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

impl Conditions {
    /// `AND {left} {value}`, where `left` is such as `status =`.
    pub(super) fn add(&mut self, left: &'static str, value: Option<impl Into<Bound>>) {
        if let Some(value) = value {
            self.begin(left);
            let place = self.place(value);
            self.text.push_str(&place);
        }
    }

    /// `AND {left} ({one}, {other})`, where `left` is such as `(at, seq) <`.
    pub(super) fn add_pair(&mut self, left: &'static str, one: impl Into<Bound>, other: impl Into<Bound>) {
        self.begin(left);
        let (one, other) = (self.place(one), self.place(other));
        self.text.extend(["(", &one, ", ", &other, ")"]);
    }

    fn begin(&mut self, left: &'static str) {
        self.text.push_str(if self.values.is_empty() { " WHERE " } else { " AND " });
        self.text.push_str(left);
        self.text.push(' ');
    }

    fn place(&mut self, value: impl Into<Bound>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// The whole query; `LIMIT` is its last parameter.
    pub(super) fn select(&self, columns: &str, table: &str, order: &str) -> String {
        let limit = self.values.len() + 1;
        format!("SELECT {columns} FROM {table}{} ORDER BY {order} LIMIT ${limit}", self.text)
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
