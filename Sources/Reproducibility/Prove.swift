import Digests
import Failures
import Files
import Foundation
import Settings
import Storage

/// `ala prove`: makes the same training steps in all the ways that are promised to end in the same bits, on this machine,
/// with the user's settings, encoder and images, in a temporary folder of its own.

/// What is to be tried.
public struct ProofRequest: Sendable {
  /// Numbers of ranks; the first is the reference's.
  public var worlds: [Int]
  public var steps: Int
  /// The `ala` program.
  public var program: String
  public var environment: [String: String]

  public init(worlds: [Int], steps: Int, program: String, environment: [String: String]) {
    self.worlds = worlds
    self.steps = steps
    self.program = program
    self.environment = environment
  }
}

/// - Parameter tell: takes a line as each way is done.
/// - Throws: `Failure` of whatever cannot be run: 65, 66 or 78 of data and settings, 69 of launcher and ranks, 73 of the
///   temporary folder, 75 after a signal.
public func prove(_ configuration: Configuration, _ request: ProofRequest, tell: (String) -> Void) throws -> Proof {
  let above = NSTemporaryDirectory()
  removeAbandoned(in: above)
  let folder = "\(above)/\(folderMark)\(getpid())-\(UInt32.random(in: 0 ... .max))".replacing("//", with: "/")
  try makeFolder(folder)
  let lock = try RunLock(path: "\(folder)/.lock", warn: { _ in })
  defer {
    withExtendedLifetime(lock) {}
    try? FileManager.default.removeItem(atPath: folder)
  }
  return try ProofRun(configuration, request, folder: folder).run(tell: tell)
}

private let folderMark = "ala-prove-"

/// Removes what killed proofs of this user have left.
private func removeAbandoned(in above: String) {
  for name in (try? names(inFolder: above)) ?? [] where name.hasPrefix(folderMark) {
    let folder = "\(above)/\(name)"
    var status = stat()
    guard lstat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(),
      RunHolder.killed(in: folder) != nil
    else { continue }
    try? FileManager.default.removeItem(atPath: folder)
  }
}

/// One proof on its way.
private final class ProofRun {
  private let configuration: Configuration
  private let folder: String
  private let launcher: Launcher
  private let trials: [Trial]
  private let settings: [String]
  private var proof: Proof
  /// Of the reference.
  private var losses: [Double] = []
  private var made: Set<Int> = []

  /// The least time after which a call is taken to hang, and how many times as long as the reference it may take.
  private static let leastSeconds = 900.0
  private static let mostTimes = 40.0
  /// A run that is over before it is killed is tried again, with an earlier kill.
  private static let mostTries = 4

  init(_ configuration: Configuration, _ request: ProofRequest, folder: String) throws {
    self.configuration = configuration
    self.folder = folder
    launcher = Launcher(program: request.program, environment: request.environment, folder: folder)
    try launcher.check(worlds: request.worlds)
    let lanes = configuration.training.lanes
    trials = Trial.all(worlds: request.worlds, threads: configuration.run.threads ?? 1, lanes: lanes)
    let data = try ProofData(configuration, below: folder)
    let stepsPerEpoch = (data.count + configuration.training.batch - 1) / configuration.training.batch
    let epochs = (request.steps + stepsPerEpoch - 1) / stepsPerEpoch
    proof = Proof(steps: request.steps, epochs: epochs, images: data.count, lanes: lanes)
    try writeAtomically(configuration.resolvedYAML, to: "\(folder)/settings.yaml")
    let changes = [
      ("data.root", data.root), ("data.layout", "cub"), ("data.classes", "all"),
      ("data.segmentations", data.segmentations), ("training.epochs", "\(epochs)"),
      ("training.patience", "0"), ("cache.views", "\(epochs)"), ("cache.dtype", "float32"), ("cache.layers", "all"),
      ("checkpoint.every_epochs", "0"), ("checkpoint.keep", "1"),
    ]
    settings =
      ["--config", "\(folder)/settings.yaml"] + changes.flatMap { ["--set", "\($0.0)=\($0.1)"] }
  }

  func run(tell: (String) -> Void) throws -> Proof {
    for trial in trials {
      let start = Date()
      let run = "\(folder)/run"
      let interruptedAt = try make(trial, in: run)
      let outcome = try judge(trial, run: run, interruptedAt: interruptedAt, seconds: Date().timeIntervalSince(start))
      proof.add(outcome)
      tell("\(trial.name): \(outcome.modelSHA256.prefix(16)) after \(String(format: "%.1f", outcome.seconds)) s")
      try FileManager.default.removeItem(atPath: run)
    }
    return proof
  }

  private var patience: Double { max(Self.leastSeconds, Self.mostTimes * (proof.trials.first?.seconds ?? 0)) }

  // MARK: A way

  /// - Returns: the step at which the first call was ended.
  private func make(_ trial: Trial, in run: String) throws -> Int? {
    var cache: String?
    if let ranks = trial.cachedBy {
      let path = "\(folder)/cache-\(ranks)"
      cache = path
      if made.insert(ranks).inserted {
        _ = try call("cache", trial, ranks: ranks, run: run, cache: path, [], "the cache made by \(ranks) ranks")
      }
    }
    func train(_ ranks: Int, steps: Int, _ more: [String] = [], killing: (() -> Bool)? = nil) throws -> Bool {
      try call(
        "train", trial, ranks: ranks, run: run, cache: cache, ["--stop-after-steps", "\(steps)"] + more, trial.name,
        killing: killing)
    }
    switch trial.interruption {
    case .none: _ = try train(trial.ranks[0], steps: proof.steps)
    case .stopped:
      _ = try train(trial.ranks[0], steps: proof.steps / 2)
      _ = try train(trial.ranks[1], steps: proof.steps - proof.steps / 2)
    case .killed: return try makeKilled(trial, run: run) { try train($0, steps: $1, $2, killing: $3) }
    }
    return trial.interruption == .stopped ? proof.steps / 2 : nil
  }

  /// Kills a run in which a checkpoint is always being written, and goes on from what it has left.
  ///
  /// - Returns: the step of which the last sound checkpoint was.
  private func makeKilled(
    _ trial: Trial, run: String, train: (Int, Int, [String], (() -> Bool)?) throws -> Bool
  ) throws -> Int {
    let always = ["--set", "checkpoint.every_minutes=1e-6"]
    for attempt in 0..<Self.mostTries {
      try? FileManager.default.removeItem(atPath: run)
      let last = max(1, proof.steps / 2 >> attempt)
      let isKilled = try train(trial.ranks[0], proof.steps, always) { Self.steps(of: run).count >= last }
      let newest = try CheckpointFolder(path: "\(run)/checkpoints", keep: 1).newest { _ in }
      let step = newest?.step ?? 0
      guard isKilled, step < proof.steps else { continue }
      _ = try train(trial.ranks[1], proof.steps - step, [], nil)
      return step
    }
    throw Failure.internalError(
      "\(trial.name): its \(proof.steps) steps are over before it can be killed; give more --steps")
  }

  private func call(
    _ command: String, _ trial: Trial, ranks: Int, run: String, cache: String?, _ more: [String], _ purpose: String,
    killing: (() -> Bool)? = nil
  ) throws -> Bool {
    let places = [
      "--set", "run.dir=\(run)", "--set", "cache.dir=\(cache ?? "null")", "--threads",
      "\(trial.threads)",
    ]
    return try launcher.run(
      [command] + settings + places + more, ranks: ranks, purpose: purpose, seconds: patience, killing: killing)
  }

  // MARK: What came of it

  private func judge(_ trial: Trial, run: String, interruptedAt: Int?, seconds: Double) throws -> Proof.Outcome {
    let last = CheckpointFolder(path: "\(run)/checkpoints", keep: 1).last
    let checkpoint = try Checkpoint.read(last)
    guard checkpoint.integer("step") == proof.steps else {
      throw Failure.internalError(
        "\(trial.name): ended at step \(checkpoint.integer("step") ?? 0); expected \(proof.steps)")
    }
    if trial.cachedBy != nil, Self.wentLive(run) {
      throw Failure.internalError("\(trial.name): did not use the cache that was made for it")
    }
    let own = Self.steps(of: run)
    if losses.isEmpty { losses = own }
    let difference =
      own.count == losses.count
      ? zip(own, losses).map { abs($0 - $1) / max(1, abs($1)) }.max() ?? 0 : Double.greatestFiniteMagnitude
    let weights = checkpoint.text("model_sha256") ?? ""
    let moments = [checkpoint.firstMoments, checkpoint.secondMoments].map { TensorTable($0).digest() }
    let counts = checkpoint.steps.map { "\($0.key) \($0.value)" }
    let hash = SHA256()
    for part in ([weights] + moments + counts).sorted() { hash.update(part) }
    let whole = hash.finish()
    let promise = Equality.promised(trial.ranks + trials[0].ranks, lanes: proof.lanes)
    let reference = proof.trials.first?.stateSHA256 ?? whole
    let holds = promise == .bits ? whole == reference : difference <= Equality.mostDifference
    return Proof.Outcome(
      name: trial.name, ranks: trial.ranks, threads: trial.threads, isCached: trial.cachedBy != nil,
      interruption: trial.interruption, interruptedAtStep: interruptedAt,
      modelSHA256: weights, stateSHA256: whole, promise: promise,
      lossDifference: difference, holds: holds, seconds: seconds)
  }

  /// Of a run's text files.
  private static let mostBytes = 1 << 30

  /// The loss of every step that a run's `metrics.jsonl` tells of, in their order; of one that was made twice, the last.
  private static func steps(of run: String) -> [Double] {
    struct Line: Decodable {
      let event: String
      let step: Int?
      let loss: Double?
    }
    let text = (try? readText("\(run)/metrics.jsonl", most: mostBytes)) ?? ""
    var losses: [Int: Double] = [:]
    for line in text.split(separator: "\n") {
      guard let line = try? JSONDecoder().decode(Line.self, from: Data(line.utf8)), line.event == "step",
        let step = line.step
      else { continue }
      losses[step] = line.loss ?? 0
    }
    return losses.sorted { $0.key < $1.key }.map(\.value)
  }

  private static func wentLive(_ run: String) -> Bool {
    let text = (try? readText("\(run)/log.txt", most: mostBytes)) ?? ""
    return text.contains("training live, the cache is not used")
  }
}
