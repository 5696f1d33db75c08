//! Many instances that one request names.

use std::collections::BTreeSet;

use deserr::{Deserr, IntoValue, Sequence, Value, ValueKind, ValuePointerRef};

use crate::input::{Invalid, wrong_kind};
use crate::model::instance_id::InstanceId;

/// The most instances that one request may name.
pub const MAX_INSTANCES: usize = 100;

/// A body that can name instances, and nothing else.
#[derive(Debug, Clone, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct InstancesBody {
    /// The instances; only for paths that do not name an instance.
    #[deserr(default)]
    pub instance_ids: Option<InstanceIds>,
}

/// 1 to 100 instances, each of them once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = BTreeSet<InstanceId>, min_items = 1, max_items = 100))]
pub struct InstanceIds(pub(crate) Vec<InstanceId>);

impl Deserr<Invalid> for InstanceIds {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef) -> Result<Self, Invalid> {
        let Value::Sequence(values) = value else { return Err(wrong_kind(value, &[ValueKind::Sequence], location)) };
        if !(1..=MAX_INSTANCES).contains(&values.len()) {
            let detail = format!("must have 1 to {MAX_INSTANCES} elements, and has {}", values.len());
            return Err(Invalid::at(location, detail));
        }
        let (mut ids, mut seen, mut invalid) = (Vec::new(), BTreeSet::new(), Invalid::default());
        for (index, value) in values.into_iter().enumerate() {
            let here = location.push_index(index);
            match InstanceId::deserialize_from_value(value.into_value(), here) {
                Ok(id) if seen.insert(id.clone()) => ids.push(id),
                Ok(id) => {
                    invalid = invalid.and(Invalid::at(here, format!("names {id} again: name each instance once")))
                }
                Err(more) => invalid = invalid.and(more),
            }
        }
        invalid.none_or(Self(ids))
    }
}
