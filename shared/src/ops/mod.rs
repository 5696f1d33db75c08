//! The operations, each in its own module, and the table of all operations.

pub mod create_instance;
pub mod delete_instance_tags;
pub mod get_all_instances;
pub mod get_ami_ids_by_name;
pub mod get_instance_details;
pub mod get_instance_resources_utilization;
pub mod get_instance_status;
pub mod get_instance_tags;
pub mod health;
pub mod lifecycle;
pub mod start_instance;
pub mod stop_instance;
pub mod sweep_workers;
pub mod terminate_instance;
pub mod update_instance_tags;

use crate::model::operation::Operation;

/// Calls a macro with the modules of the operations that have routes, in one list, and with further arguments behind it.
#[macro_export]
macro_rules! with_operations {
    ($callback:ident $(, $argument:expr)*) => {
        $callback! {
            [
                create_instance,
                start_instance,
                stop_instance,
                terminate_instance,
                get_instance_details,
                get_all_instances,
                get_instance_status,
                get_ami_ids_by_name,
                health,
                update_instance_tags,
                delete_instance_tags,
                get_instance_tags,
                get_instance_resources_utilization,
            ]
            $(, $argument)*
        }
    };
}

/// Exports the function of each operation under its name, and makes the table of their rows.
macro_rules! table {
    ([$($name:ident),+ $(,)?]) => {
        $(pub use $name::$name;)+

        /// The operations of the API.
        pub const OPERATIONS: [Operation; [$($name::OPERATION.name),+].len()] = [$($name::OPERATION),+];
    };
}

with_operations!(table);

/// The operations that no route leads to, because a schedule calls them.
pub const SCHEDULED: [Operation; 1] = [sweep_workers::OPERATION];
