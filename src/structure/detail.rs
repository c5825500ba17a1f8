//! How much a snapshot tells.

use super::{Kind, ObjectKey, Properties};

/// What a snapshot tells beside the objects and their definitions.
///
/// What differs from server to server, or from tenant to tenant, is left out unless it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detail {
    /// Who owns what.
    pub owners: bool,
    /// Who may do what, and the default privileges of the schema.
    pub privileges: bool,
    /// The comment on the schema itself, which often names a tenant.
    pub schema_comment: bool,
    /// The extensions that the database has in other schemas.
    pub extensions: bool,
    /// In which order the columns of a table stand. Without it, two tables that differ in nothing else are equal.
    pub column_order: bool,
    /// Which materialised views were never filled, or emptied with `WITH NO DATA`. That is a matter of rows: a refresh changes
    /// it.
    pub unpopulated: bool,
}

impl Detail {
    /// The structure alone: what is equal in two schemas that the same statements made, on whatever server.
    pub const STRUCTURE: Self = Self {
        owners: false,
        privileges: false,
        schema_comment: false,
        extensions: false,
        column_order: true,
        unpopulated: false,
    };

    /// As [`Detail::STRUCTURE`], but the order of columns does not count.
    pub const LOGICAL: Self = Self {
        column_order: false,
        ..Self::STRUCTURE
    };

    /// All that can be known of the structure of one schema, and nothing of others: for comparing it with itself, before and after.
    pub const EVERYTHING: Self = Self {
        owners: true,
        privileges: true,
        schema_comment: true,
        extensions: false,
        column_order: true,
        unpopulated: false,
    };

    /// Whether this tells anything of the schema itself, rather than of what is in it.
    pub(super) fn tells_of_schema(self) -> bool {
        self.owners || self.privileges || self.schema_comment
    }

    /// Whether this tells of an object.
    pub(super) fn knows(self, object: &ObjectKey, properties: &Properties) -> bool {
        match object.kind {
            Kind::Schema => self.tells_of_schema(),
            Kind::Extension => self.extensions || !properties.contains_key("schema"),
            _ => true,
        }
    }

    /// Whether this tells of a property; `of_schema` says whether it is the schema's own.
    pub(super) fn tells(self, property: &str, of_schema: bool) -> bool {
        match property {
            "owner" => self.owners,
            "position" => self.column_order,
            "populated" => self.unpopulated,
            "comment" if of_schema => self.schema_comment,
            _ if property.starts_with("privileges of ") => self.privileges,
            _ if property.starts_with("default privileges of ") => self.privileges,
            _ => true,
        }
    }
}
