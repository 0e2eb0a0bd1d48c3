#pragma once
/* HDF5's types and property classes are macros that call functions: Swift gets functions. */
#include <hdf5.h>
#include <stdio.h>

static inline hid_t ala_h5_float32(void) { return H5T_IEEE_F32LE; }
static inline hid_t ala_h5_float64(void) { return H5T_IEEE_F64LE; }
static inline hid_t ala_h5_uint8(void) { return H5T_STD_U8LE; }
static inline hid_t ala_h5_int32(void) { return H5T_STD_I32LE; }
static inline hid_t ala_h5_uint32(void) { return H5T_STD_U32LE; }
static inline hid_t ala_h5_int64(void) { return H5T_STD_I64LE; }
static inline hid_t ala_h5_c_string(void) { return H5T_C_S1; }
static inline hid_t ala_h5p_dataset_create(void) { return H5P_DATASET_CREATE; }
static inline hid_t ala_h5p_file_create(void) { return H5P_FILE_CREATE; }
static inline hid_t ala_h5p_file_access(void) { return H5P_FILE_ACCESS; }
static inline hid_t ala_h5p_default(void) { return H5P_DEFAULT; }
static inline hid_t ala_h5s_all(void) { return H5S_ALL; }
static inline size_t ala_h5_variable(void) { return H5T_VARIABLE; }
static inline unsigned ala_h5_truncate(void) { return H5F_ACC_TRUNC; }
static inline unsigned ala_h5_read_only(void) { return H5F_ACC_RDONLY; }
static inline haddr_t ala_h5_undefined_address(void) { return HADDR_UNDEF; }

/* IEEE binary16, which h5py shows as float16. The caller closes it. */
static inline hid_t ala_h5_make_float16(void) {
  hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}

/* Before any other call: the library must not tidy up at the process's end, for it crashes there over a file that a
   full disk has left half-written. What matters is closed, and checked, by then. */
static inline void ala_h5_begin(void) { H5dont_atexit(); }

/* Errors are told by return values; the library must not print. */
static inline void ala_h5_be_quiet(void) {
  ala_h5_begin();
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* Of a path, which may be of 4 KiB, and what is said of it. */
#define ALA_H5_MESSAGE 8192

static herr_t ala_h5_take_message(unsigned depth, const H5E_error2_t *error, void *target) {
  if (depth == 0 && error->desc) snprintf((char *)target, ALA_H5_MESSAGE, "%s", error->desc);
  return 0;
}

/* The deepest message of the last failed call, into ALA_H5_MESSAGE bytes. */
static inline void ala_h5_message(char *target) {
  target[0] = 0;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, ala_h5_take_message, target);
}

/* Before a file is opened that anybody may have made: no links into other files, no filters from elsewhere. */
static inline void ala_h5_confine(void) {
  ala_h5_begin();
  H5Lunregister(H5L_TYPE_EXTERNAL);
  H5PLset_loading_state(0);
}

static inline int ala_h5_is_external(H5L_type_t type) { return type == H5L_TYPE_EXTERNAL; }

static herr_t ala_h5_visit_link(hid_t group, const char *name, const H5L_info_t *info, void *target) {
  (void)group;
  void (*callback)(void *, const char *, H5L_type_t) = *(void (**)(void *, const char *, H5L_type_t))target;
  callback(((void **)target)[1], name, info->type);
  return 0;
}

/* Calls back with name and kind of each link of a group, in name order. */
static inline herr_t ala_h5_each_link(
    hid_t group, void (*callback)(void *, const char *, H5L_type_t), void *context) {
  void *target[2] = {(void *)callback, context};
  return H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, ala_h5_visit_link, target);
}
