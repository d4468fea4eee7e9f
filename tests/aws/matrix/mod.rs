//! Every operation of every adapter under every fault.
//!
//! A cell of the table is one operation under one fault, on resources of its own: the adapter is called while the fault
//! lasts, the fault ends, and whoever called does what the port tells it to. Then nothing is lost, nothing is doubled
//! that the port does not say may be, and the same adapter works as if nothing had been. The words of the first call
//! are the table, which is kept beside the tests.
//!
//! # Layout
//! - `columns`: the faults, as each service has them
//! - `trial`: one cell
//! - `table`: all cells of an adapter
//! - `graph`, `journal`, `leases`, `metadata`, `objects`, `pushes`, `queues`: the operations

mod columns;
mod graph;
mod journal;
mod leases;
mod metadata;
mod objects;
mod pushes;
mod queues;
mod table;
mod trial;
