//! Scalars.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use vpn_core::clock::Timestamp;

/// An instant, RFC 3339. What is given out is always in UTC and to the microsecond,
/// `2026-11-24T02:48:08.000001Z`; what is handed in may have any offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateTime(pub(crate) Timestamp);

impl From<Timestamp> for DateTime {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

/// An instant, RFC 3339. What is given out is always in UTC and to the microsecond,
/// `2026-11-24T02:48:08.000001Z`; what is handed in may have any offset.
#[Scalar(name = "DateTime", specified_by_url = "https://datatracker.ietf.org/doc/html/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        text.parse().map(Self).map_err(|_| InputValueError::custom("not an instant as RFC 3339 has it"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}
