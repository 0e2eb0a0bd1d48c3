import Failures

/// A launcher whose way of telling processes of each other MPI does not speak, such as `srun` without `--mpi=pmix` or
/// another MPI's `mpiexec`: it starts several copies of the program, and each takes itself for the only one.
public struct ForeignLauncher: Equatable, Sendable {
  /// How many copies there are, and the variable that says so.
  let copies: Int
  let variable: String
  /// Whether this copy speaks for all.
  public let isFirst: Bool

  /// What launchers tell of the number of copies and of which one a process is.
  private static let marks = [("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"), ("PMI_SIZE", "PMI_RANK")]

  /// - Parameters:
  ///   - environment: of this process.
  ///   - size: of MPI's world.
  /// - Returns: nil where there is one copy, or all of them are ranks of one world.
  public init?(_ environment: [String: String], size: Int) {
    guard size == 1, environment["OMPI_COMM_WORLD_SIZE"] == nil else { return nil }
    for (variable, place) in Self.marks {
      guard let copies = environment[variable].flatMap(Int.init), copies > 1 else { continue }
      (self.copies, self.variable) = (copies, variable)
      isFirst = environment[place].map { $0 == "0" } ?? true
      return
    }
    return nil
  }

  /// 69.
  public var refusal: Failure {
    .unavailable(
      "\(copies) copies of this program were started (\(variable)), but MPI joins them to no world: each would do all the "
        + "work, over the others' files. Start them by Open MPI's mpirun, or by srun --mpi=pmix where both have PMIx; one "
        + "process alone needs no launcher, or srun -n 1")
  }
}
