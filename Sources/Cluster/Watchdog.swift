import Failures
import Files
import Foundation
import Synchronization

/// Ends a job in which a rank is silent, or in which nobody gets on: by a thread of its own, by heartbeats that go
/// beside MPI, so that a call that blocks doesn't blind it.
///
/// Every rank tells rank 0 how far it has come, and rank 0 answers. Who finds the job dead says so, tells the others,
/// and leaves with 69; `mpirun` then ends what is left. Where no heartbeat gets through, each rank has a limit of its
/// own on standing still.
final class Watchdog: @unchecked Sendable {
  private let progress: Progress
  private let host: String
  private let parent = getppid()
  private let patience: Atomic<Int>
  private let isEnding = Atomic(false)

  /// What the ranks know of each other once they have met.
  private struct Acquaintance {
    let rank: Int
    let seal: HeartbeatSeal
    let socket: HeartbeatSocket?
    /// By rank.
    let endpoints: [Endpoint]
  }
  private let acquaintance = Mutex<Acquaintance?>(nil)

  /// As long as a command starts, data are surveyed and files hashed, each by all ranks at their own pace.
  private static let patienceAtStart = 4
  /// A step may take so many times as long as the longest until now.
  private static let stepsOfPatience = 10
  /// Ranks that a sentence has room for.
  private static let mostNamed = 4
  /// Seconds after which a rank speaks that nobody has told of others: so that the first speaks for all, who are ended by
  /// its end.
  private static let turn: Double = {
    guard let rank = LocalRank.own, rank > 0 else { return 0 }
    return 2 + 0.2 * Double(min(rank, 50))
  }()
  /// Seconds that the first of a machine's ranks has to speak for them all.
  private static let firstRankSeconds = 5.0
  /// Seconds that a launcher's end may take; it kills the ranks by then.
  private static let parentSeconds = 5.0

  /// Begins to watch; of other ranks nothing is known yet.
  ///
  /// - Parameter patience: seconds.
  init(_ progress: Progress, host: String, patience: Double) {
    self.progress = progress
    self.host = host
    self.patience = Atomic(Int(patience * 1000))
    let thread = Thread { self.watch() }
    thread.stackSize = 256 << 10
    thread.start()
  }

  /// - Parameters:
  ///   - key: of the job, the same on all ranks.
  ///   - endpoints: by rank.
  func meet(rank: Int, key: [UInt8], socket: HeartbeatSocket?, endpoints: [Endpoint]) {
    let seal = HeartbeatSeal(key: key, rank: rank, size: endpoints.count)
    acquaintance.withLock { $0 = Acquaintance(rank: rank, seal: seal, socket: socket, endpoints: endpoints) }
  }

  func setPatience(_ seconds: Double) { patience.store(Int(seconds * 1000), ordering: .relaxed) }

  /// From now on ranks may leave; only this one's own end is watched.
  func end() { isEnding.store(true, ordering: .relaxed) }

  // MARK: The watch

  /// What is known of a rank.
  private struct Known {
    var lastHeard: Double
    var lastMoved: Double
    var moves = -1
    var state = ProgressState()
    /// Where its heartbeats come from; nil where none has come.
    var address: SocketAddress?
  }

  private func watch() {
    var own = OwnMoves(progress)
    var known: [Known] = []
    var lastLook = now()
    var endSince: Double?
    var orphanSince: Double?
    var longestStep = 0.0
    var lastActivity = (number: 0, since: now())
    while true {
      let interval = min(1, Double(patience.load(ordering: .relaxed)) / 10_000)
      let others = acquaintance.withLock { $0 }
      let start = now()
      own.look(at: start)

      if wasAsleep(since: lastLook, interval) {
        for rank in known.indices { (known[rank].lastHeard, known[rank].lastMoved) = (start, start) }
        own.forgive(at: start)
      }
      lastLook = start

      if own.state.number != lastActivity.number {
        if lastActivity.number > 0 { longestStep = max(longestStep, start - lastActivity.since) }
        lastActivity = (own.state.number, start)
      }
      let wanted = Double(patience.load(ordering: .relaxed)) / 1000
      let limit =
        own.state.isStarting
        ? wanted * Double(Self.patienceAtStart) : max(wanted, longestStep * Double(Self.stepsOfPatience))

      orphanSince = getppid() == parent ? nil : orphanSince ?? start
      if let since = orphanSince, start - since > Self.parentSeconds { end("the launcher of this job has ended") }
      if isEnding.load(ordering: .relaxed) {
        endSince = endSince ?? start
        if let endSince, start - endSince > limit { end("the end of MPI has taken more than \(Int(limit)) s") }
        usleep(UInt32(interval * 1e6))
        continue
      }
      guard let others, let socket = others.socket, others.endpoints.allSatisfy({ $0.port != 0 }) else {
        judgeAlone(own, limit: limit, at: start)
        usleep(UInt32((others == nil ? interval / 20 : interval) * 1e6))
        continue
      }
      if known.isEmpty {
        known = others.endpoints.map { _ in Known(lastHeard: start, lastMoved: start) }
      }
      known[others.rank].lastHeard = start
      if known[others.rank].moves != own.moves { known[others.rank].lastMoved = start }
      (known[others.rank].moves, known[others.rank].state) = (own.moves, own.state)
      if others.rank != 0 { tellRoot(others, socket, known[0], own) }
      // The first heartbeats are soon.
      let isKnown =
        others.rank == 0 ? known.indices.allSatisfy { $0 == 0 || known[$0].address != nil } : known[0].address != nil
      listen(others, socket, &known, own, until: start + (isKnown ? interval : interval / 10))
      if wasAsleep(since: lastLook, interval) { continue }
      if others.rank == 0 {
        judge(others, socket, known, limit: limit, at: now())
      } else if known[0].address == nil {
        judgeAlone(own, limit: limit, at: now())
      } else {
        judgeRoot(others, socket, known[0], limit: limit, at: now())
      }
    }
  }

  /// Whether this process was stopped itself, or its machine slept: silence then means nothing.
  private func wasAsleep(since lastLook: Double, _ interval: Double) -> Bool { now() - lastLook > 3 * interval + 0.4 }

  private func now() -> Double { seconds(CLOCK_MONOTONIC) }

  private func tellRoot(_ others: Acquaintance, _ socket: HeartbeatSocket, _ root: Known, _ own: OwnMoves) {
    let beat = others.seal.seal(.beat(rank: others.rank, moves: own.moves, own.state), to: 0)
    if let address = root.address {
      socket.send(beat, to: address)
    } else {
      socket.send(beat, to: others.endpoints[0], isOwnHost: others.endpoints[0].host == host)
    }
  }

  private func listen(
    _ others: Acquaintance, _ socket: HeartbeatSocket, _ known: inout [Known], _ own: OwnMoves, until end: Double
  ) {
    while case let time = now(), time < end, let (bytes, from) = socket.receive(seconds: end - time) {
      switch others.seal.open(bytes) {
      case .beat(let rank, let moves, let state):
        known[rank].lastHeard = now()
        if known[rank].moves != moves { known[rank].lastMoved = now() }
        (known[rank].moves, known[rank].state, known[rank].address) = (moves, state, from)
        if others.rank == 0 {
          socket.send(others.seal.seal(.beat(rank: 0, moves: own.moves, own.state), to: rank), to: from)
        }
      case .end: leave()
      case nil: break
      }
    }
  }

  // MARK: Verdicts

  /// Rank 0's, on all ranks.
  private func judge(
    _ ranks: Acquaintance, _ socket: HeartbeatSocket, _ known: [Known], limit: Double, at time: Double
  ) {
    func name(_ rank: Int) -> String { "rank \(rank) on \(ranks.endpoints[rank].host)" }
    let silent = known.indices.filter { known[$0].address != nil && time - known[$0].lastHeard > limit }
    if let first = silent.first {
      let more = silent.count > 1 ? " (and \(silent.count - 1) more ranks)" : ""
      end(
        "\(name(first))\(more) has not answered for \(Int(time - known[first].lastHeard)) s; it was last heard of in: "
          + known[first].state.description, ranks, socket)
    }
    let reached = known.indices.filter { $0 == 0 || known[$0].address != nil }
    guard known.count > 1, reached.allSatisfy({ time - known[$0].lastMoved > limit }) else { return }
    let since = Int(time - (reached.map { known[$0].lastMoved }.max() ?? time))
    // Who waits for others has nothing to answer for, if somebody does not.
    let busy = reached.filter { !known[$0].state.isWaiting }
    let unheard = known.indices.filter { !reached.contains($0) }.map { "\(name($0)) has never been heard of" }
    let others = (busy.isEmpty ? reached : busy).map { "\(name($0)) in: \(known[$0].state.description)" }
    let named = (unheard + others).prefix(Self.mostNamed)
    end("no rank has got on for \(since) s; \(named.joined(separator: "; "))", ranks, socket)
  }

  /// Another rank's, on rank 0; one after the other, so that the first speaks for all.
  private func judgeRoot(
    _ others: Acquaintance, _ socket: HeartbeatSocket, _ root: Known, limit: Double, at time: Double
  ) {
    guard time - root.lastHeard > limit + 0.5 + 0.2 * Double(min(others.rank, 50)) else { return }
    end(
      "rank 0 on \(others.endpoints[0].host) has not answered rank \(others.rank) on \(host) for "
        + "\(Int(time - root.lastHeard)) s; it was last heard of in: \(root.state.description)", others, socket)
  }

  /// Where no heartbeat gets through.
  private func judgeAlone(_ own: OwnMoves, limit: Double, at time: Double) {
    guard time - own.lastMoved > limit + Self.turn else { return }
    let ranks = LocalRank.all().sorted { $0.rank < $1.rank }
    if let rank = LocalRank.own, let first = ranks.first(where: { !$0.isStopped }), first.rank < rank,
      time - own.lastMoved < limit + Self.turn + Self.firstRankSeconds
    {
      return
    }
    let stopped = ranks.filter(\.isStopped).prefix(Self.mostNamed).map {
      "rank \($0.rank) on \(host) (pid \($0.process))"
    }
    guard stopped.isEmpty else {
      end(
        "\(stopped.joined(separator: ", ")) \(stopped.count == 1 ? "is" : "are") stopped, as by kill -STOP; others have "
          + "waited for \(Int(time - own.lastMoved)) s (\(own.state.description))")
    }
    let place = LocalRank.own.map { "rank \($0) on \(host)" } ?? host
    end(
      "\(place) has stood still for \(Int(time - own.lastMoved)) s (\(own.state.description)), and no heartbeat of other "
        + "ranks gets through")
  }

  private func end(_ found: String, _ others: Acquaintance? = nil, _ socket: HeartbeatSocket? = nil) -> Never {
    let advice = acquaintance.withLock { $0 == nil } ? Self.networkAdvice : nil
    // launch/mpi.sh knows the verdict by its first sentence's end.
    StandardError.note(
      "ala: error: \(found). The job ends (run.patience_seconds)\(advice ?? "; its files are as the last checkpoint left them: run the same command again")"
    )
    if let others, let socket {
      for _ in 0..<3 {
        for (rank, endpoint) in others.endpoints.enumerated() where rank != others.rank {
          let word = others.seal.seal(.end(rank: others.rank), to: rank)
          socket.send(word, to: endpoint, isOwnHost: endpoint.host == host)
        }
        usleep(20_000)
      }
    }
    leave()
  }

  private func leave() -> Never {
    LauncherEnd.arrange()
    _exit(ExitCode.unavailable.rawValue)
  }

  /// What may keep ranks of several hosts from each other at the start; nil on one host.
  private static var networkAdvice: String? {
    let environment = ProcessInfo.processInfo.environment
    guard let size = environment["OMPI_COMM_WORLD_SIZE"], environment["OMPI_COMM_WORLD_LOCAL_SIZE"] != size else {
      return nil
    }
    let interfaces = NetworkInterface.all().filter { !$0.isLoopback }
    let list = interfaces.map { "\($0.name) \($0.address) in \($0.network)" }.joined(separator: ", ")
    let network = interfaces.first?.network ?? "NETWORK"
    return ": its ranks do not reach each other. This host has \(list). Where hosts have an address in common "
      + "(docker0), or a network leads nowhere, name the one between them: mpirun --mca btl_tcp_if_include \(network) "
      + "--mca oob_tcp_if_include \(network) (docs/several-hosts.md)"
  }
}

private func seconds(_ clock: clockid_t) -> Double {
  var time = timespec()
  clock_gettime(clock, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Whether this rank gets on: by what its main thread notes, or, where that waits for nobody, by the processor time that
/// its threads use.
private struct OwnMoves {
  private let progress: Progress
  private(set) var state: ProgressState
  private(set) var moves = 0
  private(set) var lastMoved: Double
  private var lastCPU = 0.0
  private var lastLook: Double

  /// Of the time between two looks.
  private static let leastShare = 0.02

  init(_ progress: Progress) {
    self.progress = progress
    state = progress.state
    lastMoved = seconds(CLOCK_MONOTONIC)
    lastLook = lastMoved
  }

  mutating func look(at time: Double) {
    let new = progress.state
    // Without this thread's own.
    let cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - seconds(CLOCK_THREAD_CPUTIME_ID)
    let isComputing = !new.isWaiting && cpu - lastCPU > Self.leastShare * (time - lastLook)
    if new != state || isComputing {
      moves += 1
      lastMoved = time
    }
    (state, lastCPU, lastLook) = (new, cpu, time)
  }

  mutating func forgive(at time: Double) { lastMoved = time }
}
