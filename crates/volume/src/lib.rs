//! Voxel grids with physical geometry.
//!
//! # Axes
//! Arrays are indexed `[D, H, W]` (in networks `[B, C, D, H, W]`), the last axis fastest. In the
//! canonical orientation RAS+, `W` runs to the patient's right, `H` to the front (anterior) and `D`
//! upwards (superior). Every triple that speaks of axes (shape, spacing, index) is in this order;
//! a point in space is `[x, y, z]` in mm, RAS+.
//!
//! An [`Image`] holds Hounsfield units and is resampled linearly, a [`LabelMap`] holds labels and is
//! resampled by nearest neighbour: the type chooses, nobody passes a flag.
//!
//! # Rooms
//! - grids: [`Affine`], [`Geometry`], [`Image`], [`LabelMap`]
//! - moving voxels: [`Image::resample`], [`Image::warp`] by a [`Deformation`] (affine, [`DisplacementField`], [`Flow`])
//! - two scans of one head: [`register()`] finds the [`RigidMotion`] between them, [`LabelMap::resample_moved`] carries a
//!   mask over
//! - shapes in masks: [`Components`], [`distance_mm`], [`dilate_mm`], [`erode_mm`]
//! - a head without its lesion: [`inpaint()`], [`harmonic_fill`]
//! - what describes a scan: [`BrainDescriptors`], [`LesionDescriptors`], [`NcctSigns`],
//!   [`surface_area_mm2`]
//! - the scanner: [`Image::average_slices`], [`Image::coarsened`], [`ConvolutionKernel`], [`correlated_noise`], [`Image::blur_mm`]
//!
//! Nothing here depends on the number of threads: every voxel is computed from its inputs alone, in
//! a fixed order.

mod abc2;
mod affine;
mod axis;
mod components;
mod deform;
mod descriptors;
mod displacement;
mod distance;
mod error;
mod filter;
mod flow;
mod geometry;
mod harmonic;
mod image;
mod index_map;
mod inpaint;
mod label_map;
mod motion;
mod ncct_signs;
mod noise;
mod physics;
mod register;
mod resample;
mod sample;
mod straighten;
mod surface_area;
pub mod vector;

pub use affine::{Affine, InverseAffine};
pub use components::{Components, Connectivity};
pub use deform::Deformation;
pub use descriptors::{BrainDescriptors, LesionDescriptors};
pub use displacement::{DisplacementField, FieldExtremes};
pub use distance::{dilate_mm, distance_mm, erode_mm};
pub use error::VolumeError;
pub use flow::{Flow, Lobe};
pub use geometry::Geometry;
pub use harmonic::harmonic_fill;
pub use image::Image;
pub use inpaint::inpaint;
pub use label_map::{LabelMap, Lesion};
pub use motion::RigidMotion;
pub use ncct_signs::NcctSigns;
pub use noise::{ConvolutionKernel, correlated_noise};
pub use register::{Registration, register};
pub use surface_area::surface_area_mm2;
