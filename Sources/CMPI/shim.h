#pragma once
/* Swift cannot import MPI's handle macros: each becomes a function here. */
#include <mpi.h>

static inline MPI_Comm ala_mpi_comm_world(void) { return MPI_COMM_WORLD; }
static inline MPI_Comm ala_mpi_comm_null(void) { return MPI_COMM_NULL; }
static inline MPI_Info ala_mpi_info_null(void) { return MPI_INFO_NULL; }
static inline MPI_Datatype ala_mpi_float(void) { return MPI_FLOAT; }
static inline MPI_Datatype ala_mpi_double(void) { return MPI_DOUBLE; }
static inline MPI_Datatype ala_mpi_byte(void) { return MPI_BYTE; }
static inline MPI_Datatype ala_mpi_int64(void) { return MPI_INT64_T; }
static inline MPI_Op ala_mpi_max(void) { return MPI_MAX; }
static inline MPI_Op ala_mpi_min(void) { return MPI_MIN; }
static inline MPI_Op ala_mpi_sum(void) { return MPI_SUM; }
static inline MPI_Status *ala_mpi_status_ignore(void) { return MPI_STATUS_IGNORE; }
static inline MPI_Status *ala_mpi_statuses_ignore(void) { return MPI_STATUSES_IGNORE; }
static inline MPI_Request ala_mpi_request_null(void) { return MPI_REQUEST_NULL; }
static inline int ala_mpi_comm_type_shared(void) { return MPI_COMM_TYPE_SHARED; }
static inline void *ala_mpi_in_place(void) { return MPI_IN_PLACE; }
