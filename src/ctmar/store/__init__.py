"""HDF5 files of slices and pairs, atomic writing and provenance: the only room that knows h5py."""
