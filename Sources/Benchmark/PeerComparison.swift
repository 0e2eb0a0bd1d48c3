import Cluster
import Failures
import Foundation
import Machine
import Statistics
import Tensor

/// `ala bench --against`: our works and a peer's, each in a process of its own, in turns.
public struct PeerComparison: Sendable {
  /// A Python with torch, and with openvino where the encoder is to be held against that, too.
  public var python: String
  public var works: [BenchmarkWork]
  public var rounds: Int
  public var threads: Int
  public var batch: Int
  public var precision: Precision
  /// `run.products`.
  public var products: String
  public var steps: Int
  public var repeats: Int
  /// The `ala` program.
  public var program: String

  /// Of a process: a work of many steps may take hours, and libraries have words of their own.
  private static let (mostSeconds, mostOutput) = (24.0 * 3600, 1 << 20)

  /// Those that the peer has, in the order of docs/performance.md.
  public static let peerWorks: [BenchmarkWork] = [
    .encode, .trainAlpha, .trainOnes, .liveAlpha, .liveOnes, .perturb, .fcam,
  ]

  public init(
    python: String, works: [BenchmarkWork], rounds: Int, threads: Int, batch: Int, precision: Precision,
    products: String, steps: Int, repeats: Int, program: String = ChildProcess.ownProgram
  ) {
    self.python = python
    self.works = works
    self.rounds = rounds
    self.threads = threads
    self.batch = batch
    self.precision = precision
    self.products = products
    self.steps = steps
    self.repeats = repeats
    self.program = program
  }

  /// What a peer says of a work; ours says as much, and more.
  private struct PeerResult: Decodable {
    let samplesPerSecond: Double
    let peakRSS: Int
    let library: String

    enum CodingKeys: String, CodingKey {
      case library
      case samplesPerSecond = "samples_per_s"
      case peakRSS = "peak_rss_mib"
    }
  }

  private enum Library: String, CaseIterable {
    case torch
    case openvino

    func does(_ work: BenchmarkWork) -> Bool { self == .torch || work == .encode }
  }

  /// - Parameter note: told of each round.
  /// - Throws: `Failure` 69 where Python or torch is missing or a process fails, 75 after a signal.
  public func run(note: (String) -> Void) throws -> PeerTable {
    let libraries = try librariesOfPython()
    var rows: [PeerTable.Row] = []
    var used: [String] = []
    var ours = ""
    for work in works {
      let peers = libraries.filter { $0.does(work) }
      var own: [BenchmarkResult] = []
      var others = peers.map { _ in [PeerResult]() }
      for round in 1...rounds {
        own.append(try time(work))
        for (index, peer) in peers.enumerated() { others[index].append(try time(work, by: peer)) }
        let rates = others.compactMap(\.last).map { String(format: "%@ %.2f", $0.library, $0.samplesPerSecond) }
        note(
          String(
            format: "%@, round %d of %d: ala %.2f samples/s, %@", work.rawValue, round, rounds,
            own.last?.samplesPerSecond ?? 0, rates.joined(separator: ", ")))
      }
      for name in others.compactMap(\.first?.library) where !used.contains(name) { used.append(name) }
      ours = own.last?.products ?? ours
      rows.append(
        PeerTable.Row(
          work: work.rawValue, dtype: precision.rawValue,
          ala: PeerTable.Side(own.map { ($0.samplesPerSecond, $0.peakRSS) }),
          roof: median(own.map(\.roof)) ?? .nan, ceiling: median(own.map(\.ceiling)) ?? .nan,
          peers: zip(peers, others).map { peer, results in
            PeerTable.Peer(
              library: results[0].library, side: PeerTable.Side(results.map { ($0.samplesPerSecond, $0.peakRSS) }),
              ratios: zip(own, results).map { $0.samplesPerSecond / $1.samplesPerSecond })
          }))
    }
    return PeerTable(
      processor: Processor.current.name, threads: threads, batch: batch, products: ours, libraries: used, rows: rows)
  }

  /// Those of which Python says that it has them; torch at least.
  private func librariesOfPython() throws -> [Library] {
    let names = Library.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
    let script = "import importlib.util as u; print(*(n for n in [\(names)] if u.find_spec(n)))"
    let output = try start([python, "-c", script], "\(python): cannot be started, or does not run")
    let found = output.split(whereSeparator: \.isWhitespace).compactMap { Library(rawValue: String($0)) }
    guard found.contains(.torch) else {
      throw Failure.unavailable("\(python): has no torch: `\(python) -m pip install torch`, or name another Python")
    }
    return found
  }

  private var options: [String] {
    [
      "--threads", "\(threads)", "--batch", "\(batch)", "--dtype", precision.rawValue, "--steps", "\(steps)",
      "--repeats", "\(repeats)",
    ]
  }

  private func time(_ work: BenchmarkWork) throws -> BenchmarkResult {
    let output = try start(
      [program, "bench", work.rawValue, "--products", products, "--json"] + options, "bench \(work.rawValue)")
    return try decode(output, "bench \(work.rawValue)")
  }

  private func time(_ work: BenchmarkWork, by peer: Library) throws -> PeerResult {
    let source = String(decoding: PackageResources.peer_py, as: UTF8.self)
    let purpose = "\(python): the peer's \(work.rawValue) by \(peer.rawValue)"
    let output = try start([python, "-c", source, work.rawValue, "--library", peer.rawValue] + options, purpose)
    return try decode(output, purpose)
  }

  /// Of the last line, for libraries have words of their own.
  private func decode<Result: Decodable>(_ output: String, _ purpose: String) throws -> Result {
    let line = output.split(separator: "\n").last.map(String.init) ?? ""
    do {
      return try JSONDecoder().decode(Result.self, from: Data(line.utf8))
    } catch {
      throw Failure.unavailable(
        "\(purpose): expected one JSON object at the end of its output, found \"\(line.prefix(200))\"")
    }
  }

  /// What a program prints. It finds OpenBLAS as it is: a kernel that the environment names would be measured else.
  private func start(_ command: [String], _ purpose: String) throws -> String {
    let environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("OPENBLAS_") }
    let signals = SignalWatch()
    let child = ChildProcess.run(
      "/usr/bin/env", command, environment: environment, seconds: Self.mostSeconds, mostOutput: Self.mostOutput
    ) { _ in signals.pending == nil }
    if signals.pending != nil { throw Failure.interrupted("interrupted; nothing is kept") }
    let words = child.errors.split(separator: "\n").last.map { ": \($0)" } ?? ""
    switch child.ending {
    case .exited(0): return String(decoding: child.output, as: UTF8.self)
    case .exited(let code): throw Failure.unavailable(purpose + (words.isEmpty ? ": ended with code \(code)" : words))
    case .died(let signal): throw Failure.unavailable("\(purpose): ended by signal \(signal)\(words)")
    case .wroteTooMuch:
      throw Failure.unavailable(
        "\(purpose): was ended, for it wrote more than \(Self.mostOutput >> 20) MiB to standard output; expected a line of "
          + "JSON at its end")
    case .ranOutOfTime: throw Failure.unavailable("\(purpose): has not ended in a day, and was ended")
    case .didNotStart, .stopped: throw Failure.unavailable("\(purpose): cannot be started")
    }
  }
}

/// Medians of rounds, beside those of peers.
public struct PeerTable: Encodable, Sendable {
  /// One program's figures.
  public struct Side: Encodable, Sendable {
    /// The median of the rounds.
    public let samplesPerSecond: Double
    /// The median of the processes' peaks, MiB.
    public let peakRSS: Double

    init(_ rounds: [(rate: Double, peak: Int)]) {
      samplesPerSecond = median(rounds.map(\.rate)) ?? .nan
      peakRSS = median(rounds.map { Double($0.peak) }) ?? .nan
    }

    enum CodingKeys: String, CodingKey {
      case samplesPerSecond = "samples_per_s"
      case peakRSS = "peak_rss_mib"
    }
  }

  public struct Peer: Encodable, Sendable {
    public let library: String
    public let side: Side
    /// Our rate over its, by round.
    public let ratios: [Double]
    public var ratio: Double { median(ratios) ?? .nan }
  }

  public struct Row: Encodable, Sendable {
    public let work: String
    public let dtype: String
    public let ala: Side
    public let roof: Double
    public let ceiling: Double
    public let peers: [Peer]
  }

  public let processor: String
  public let threads: Int
  public let batch: Int
  /// Ours.
  public let products: String
  public let libraries: [String]
  public let rows: [Row]

  /// In Markdown.
  public var text: String {
    let head =
      "\(processor), \(threads) thread\(threads == 1 ? "" : "s"), batch \(batch); ala's products by \(products); against "
      + libraries.joined(separator: " and ")
    let columns =
      ["work", "ala, samples/s"] + libraries.flatMap { [$0, "ratio (each round)"] }
      + ["roof", "ceiling", "memory, MiB", "ratio"]
    let lines = rows.map { row in
      let peers = libraries.flatMap { library -> [String] in
        guard let peer = row.peers.first(where: { $0.library == library }) else { return ["", ""] }
        let each = peer.ratios.map { String(format: "%.2f", $0) }.joined(separator: ", ")
        return [String(format: "%.2f", peer.side.samplesPerSecond), String(format: "**%.2f** (%@)", peer.ratio, each)]
      }
      let memory = row.peers.first.map {
        [
          String(format: "%.0f against %.0f", row.ala.peakRSS, $0.side.peakRSS),
          String(format: "%.2f", row.ala.peakRSS / $0.side.peakRSS),
        ]
      }
      return ["\(row.work), \(row.dtype)", String(format: "%.2f", row.ala.samplesPerSecond)] + peers
        + [String(format: "%.2f", row.roof), String(format: "%.2f", row.ceiling)] + (memory ?? ["", ""])
    }
    let table = [columns, columns.map { _ in "---" }] + lines
    return head + "\n\n" + table.map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n")
  }
}
