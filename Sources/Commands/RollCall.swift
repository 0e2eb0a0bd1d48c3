import Cluster
import Diagnosis
import Digests
import Files
import Tensor

/// The first thing that ranks do: see that all of them run the same program in the same way.
enum RollCall {
  /// - Throws: `Failure` 78 on every rank where their arguments differ, but for those that make settings and for files
  ///   of equal contents.
  static func compare(_ arguments: [String], on cluster: Cluster) throws {
    guard cluster.size > 1 else { return }
    let given = facts(of: arguments)
    // Every rank asks the same questions, for all of them know which facts are unlike.
    let unlike = Set(cluster.differing(given))
    let contents = given.filter { unlike.contains($0.key) }.map { key, value in
      (key: key, value: (try? SHA256.ofFile(value)) ?? "no file of rank \(cluster.rank)")
    }
    let unlikeContents = unlike.isEmpty ? [] : Set(cluster.differing(contents))
    try cluster.requireAlike(given.filter { !unlike.contains($0.key) || unlikeContents.contains($0.key) })
  }

  /// Messages mean the same in the same program only, and bits are the same with the same libraries and kernel only.
  ///
  /// - Throws: `Failure` 78 on every rank.
  static func compareProgram(on cluster: Cluster) throws {
    guard cluster.size > 1 else { return }
    try cluster.requireAlike(likenessFacts(program: Program.path, kernel: blasKernel()))
  }

  /// Arguments that make settings, which are compared one by one where they are read.
  private static let settings = ["--config", "--set", "--threads"]

  /// The words of a command line by the option that they belong to; an option that is given twice has all its words.
  static func facts(of arguments: [String]) -> [(key: String, value: String)] {
    var words = [(key: "the command", value: "")]
    func append(_ key: String, _ value: String) {
      if let index = words.firstIndex(where: { $0.key == key }) {
        words[index].value += words[index].value.isEmpty ? value : " \(value)"
      } else {
        words.append((key, value))
      }
    }
    var option: String?
    for argument in arguments {
      if argument.hasPrefix("--") {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        option = parts.count == 1 ? parts[0] : nil
        append(parts[0], parts.count == 1 ? "" : parts[1])
      } else {
        // An option has one word; what follows is the command's.
        append(option ?? words[0].key, argument)
        option = nil
      }
    }
    return words.filter { !settings.contains($0.key) }.map { ($0.key, $0.value.isEmpty ? "given" : $0.value) }
  }
}
