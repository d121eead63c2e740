//! Byte kernels.
