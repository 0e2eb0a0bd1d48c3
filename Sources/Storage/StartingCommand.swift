import Files
import Foundation
import Machine

/// How a run or a table was last started, kept in its folder for who goes on with it.
public struct StartingCommand: Codable, Equatable, Sendable {
  public static let fileName = "command.json"

  /// By which a launcher of this repository hands on its own words, each with U+001F behind it (launch/mpi.sh).
  private static let launcherVariable = "ALA_LAUNCHED"
  private static let mpirunNames = ["mpirun", "mpiexec", "orterun", "prterun"]
  /// Shells and monitors between mpirun and a rank.
  private static let mostBetween = 4
  private static let mostBytes = 1 << 24

  /// That it was started in.
  public let folder: String
  /// As it is typed, launcher and all.
  public let command: String

  /// Of this process, which is rank 0.
  ///
  /// - Parameters:
  ///   - ranks: of the job.
  ///   - settings: a file with the same settings, for a command that has read them from a pipe.
  public static func current(ranks: Int, settings: String? = nil) -> StartingCommand {
    let environment = ProcessInfo.processInfo.environment
    let own = CommandLine.arguments
    var words = own
    if let launched = environment[launcherVariable], !launched.isEmpty {
      words = launched.split(separator: "\u{1F}", omittingEmptySubsequences: false).dropLast().map(String.init)
      if words.first == "sbatch" { words.insert(contentsOf: sbatchOptions(environment), at: 1) }
    } else if let mpirun = mpirunAbove() {
      words = mpirun
      // Whether it may is often said by variables, which the next shell may not have.
      if getuid() == 0, !words.contains("--allow-run-as-root") { words.insert("--allow-run-as-root", at: 1) }
    } else if ranks > 1 {
      let srun = environment["SLURM_STEP_NUM_TASKS"] != nil
      words = (srun ? ["srun", "--mpi=pmix", "-n", "\(ranks)"] : ["mpirun", "-np", "\(ranks)"]) + own
    }
    return StartingCommand(
      folder: FileManager.default.currentDirectoryPath,
      command: goingOn(words, settings: settings).map(shellWord).joined(separator: " "))
  }

  /// Without what would begin anew or go back to an earlier checkpoint (`--resume`), and without pipes, which are gone.
  package static func goingOn(_ words: [String], settings: String?) -> [String] {
    var kept: [String] = []
    var previous = ""
    for word in words {
      defer { previous = word }
      if previous == "--resume" || word == "--resume" || word.hasPrefix("--resume=") { continue }
      let name = word.hasPrefix("--config=") ? String(word.dropFirst("--config=".count)) : word
      let isPipe = ["/dev/fd/", "/dev/stdin", "/proc/"].contains { name.hasPrefix($0) }
      guard isPipe, let settings else {
        kept.append(word)
        continue
      }
      kept.append(name == word ? settings : "--config=\(settings)")
    }
    return kept
  }

  /// What `sbatch` has to be told for as many ranks, as far as the job's variables say.
  private static func sbatchOptions(_ environment: [String: String]) -> [String] {
    [
      ("SLURM_JOB_PARTITION", "--partition"), ("SLURM_JOB_NUM_NODES", "--nodes"), ("SLURM_NTASKS", "--ntasks"),
      ("SLURM_NTASKS_PER_NODE", "--ntasks-per-node"), ("SLURM_CPUS_PER_TASK", "--cpus-per-task"),
      ("SLURM_ARRAY_TASK_ID", "--array"),
    ].compactMap { variable, option in environment[variable].map { "\(option)=\($0)" } }
  }

  /// The words of the `mpirun` that has started this process on this host; nil where another host's has, or none.
  private static func mpirunAbove() -> [String]? {
    var process = getppid()
    for _ in 0...mostBetween where process > 1 {
      guard let bytes = FileManager.default.contents(atPath: "/proc/\(process)/cmdline"),
        let parent = Processes.status(of: process)?.dropFirst().first.flatMap({ Int32($0) })
      else { return nil }
      let words = bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast().map {
        String(decoding: $0, as: UTF8.self)
      }
      let name = words.first?.split(separator: "/").last.map(String.init) ?? ""
      if mpirunNames.contains(name) { return words }
      process = parent
    }
    return nil
  }

  /// To be typed in the folder where this process is.
  public var typed: String {
    folder == FileManager.default.currentDirectoryPath ? command : "cd \(shellWord(folder)) && \(command)"
  }

  /// What a folder tells; nil where it does not.
  public static func read(from folder: String) -> StartingCommand? {
    (try? readFile("\(folder)/\(fileName)", most: mostBytes))
      .flatMap { try? JSONDecoder().decode(StartingCommand.self, from: Data($0)) }
  }

  /// - Throws: `Failure` 73.
  public func write(to folder: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try writeAtomically(Array(try encoder.encode(self)) + Array("\n".utf8), to: "\(folder)/\(Self.fileName)")
  }
}
