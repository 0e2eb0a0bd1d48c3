import Cluster
import Failures
import Foundation

/// A rank that calls what `Cluster` offers and writes what it has got into a file of its own, for `ClusterTests`.
///
///   ClusterProbe FOLDER

/// The values that a rank gives to a sum; the tests make the same.
func values(rank: Int, count: Int) -> [Float] {
  var state = UInt64(rank + 1) &* 0x9E37_79B9_7F4A_7C15
  return (0..<count).map { _ in
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Float(Int32(truncatingIfNeeded: state >> 32)) * 0x1p-20
  }
}

func message(_ body: () throws -> Void) -> String {
  do {
    try body()
    return "nothing"
  } catch {
    let failure = Cluster.failure(of: error)
    return "\(failure.code.rawValue) \(failure.message)"
  }
}

let cluster = try Cluster()
var report: [String: [String]] = [:]

// Sums: segments in an order of their own, one of them empty, by two reducers after each other.
let arena = UnsafeMutablePointer<Float>.allocate(capacity: 2000)
for name in ["first", "second"] {
  arena.update(from: values(rank: cluster.rank, count: 2000), count: 2000)
  let reducer = GradientReducer(cluster, base: arena, largest: 1000)
  for range in [1000..<2000, 0..<1, 5..<5, 1..<8, 8..<1000] { reducer.start(range) }
  _ = reducer.finish()
  report["sum \(name)"] = (0..<2000).map { String(arena[$0].bitPattern) }
}

// Collectives.
report["place"] = ["\(cluster.rank) of \(cluster.size)"]
report["sum"] = [String(cluster.sum(cluster.rank + 1))]
report["maximum"] = [String(cluster.maximum((cluster.rank * 3) % 7))]
report["slice"] = ["\(cluster.slice(of: 11))"]
report["gathered"] = cluster.allGather(Array("rank \(cluster.rank)".utf8)).map { String(decoding: $0, as: UTF8.self) }
var bytes = cluster.rank == cluster.size - 1 ? Array("of the last".utf8) : [0]
cluster.broadcast(&bytes, root: cluster.size - 1)
report["broadcast"] = [String(decoding: bytes, as: UTF8.self)]
report["from root"] = [String(decoding: try cluster.fromRoot { Array("rank \(cluster.rank)".utf8) }, as: UTF8.self)]
let shared = try cluster.sharedMemory(100_000) { memory in for i in memory.indices { memory[i] = UInt8(i % 251) } }
report["shared"] = ["\(shared.bytes.enumerated().allSatisfy { $1 == UInt8($0 % 251) })"]

// Agreement: ranks 1 and the last fail in loading, each by itself; then rank 0 in writing; then nobody.
report["agreed"] = [
  message {
    try cluster.agree {
      if cluster.rank == 1 || cluster.rank == cluster.size - 1 { throw Failure.badData("file \(cluster.rank)") }
    }
  }, message { try cluster.onRoot { throw Failure.cannotWrite("disk") } }, message { try cluster.agree {} },
  message { try cluster.share(nil) },
]
report["round"] = [
  "\(cluster.round(failure: nil, signal: cluster.rank == 0 ? 15 : nil, flag: true))",
  "\(cluster.round(failure: nil, signal: nil, flag: cluster.rank == cluster.size - 1))",
  "\(cluster.round(failure: nil, signal: nil, flag: false))",
]

// Likeness: the last rank has another value, and a key of its own.
var facts = [(key: "same", value: "x"), (key: "key", value: cluster.rank == cluster.size - 1 ? "b" : "a")]
if cluster.rank == cluster.size - 1 { facts.append((key: "own", value: "y")) }
report["likeness"] = [message { try cluster.requireAlike(facts) }] + cluster.differing(facts)

let path = "\(CommandLine.arguments[1])/\(cluster.rank).json"
try JSONEncoder().encode(report).write(to: URL(fileURLWithPath: path))
cluster.finish()
