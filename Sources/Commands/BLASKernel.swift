import Foundation
import Machine
import Tensor

/// OpenBLAS's kernel and its threads can only be chosen through the environment and before it is loaded, so where it
/// has fallen back to a slow kernel, or its threads take address space that is limited, the program starts itself again.
/// So it does where threads would have too little room for their stacks.
enum BLASKernel {
  /// What OpenBLAS runs with in this process.
  static var choice: BLASChoice {
    BLASChoice(kernel: blasKernel(), environment: ProcessInfo.processInfo.environment)
  }

  /// Threads of OpenBLAS's own, each with 128 MiB of address space from the start. A product here runs on the thread
  /// that calls it, so they have nothing to do.
  private static let threads = "OPENBLAS_NUM_THREADS"

  /// Returns where all is right already or has been chosen by the user; else does not return.
  static func choose() {
    var changes: [(name: String, value: String)] = []
    if let better = choice.better { changes += [(BLASChoice.coreType, better), (BLASChoice.ownChoice, "1")] }
    if MemoryLimit.ofAddressSpace() != nil, getenv(threads) == nil { changes.append((threads, "1")) }
    guard StackRoom.raise() || !changes.isEmpty else { return }
    let environment = ProcessInfo.processInfo.environment.merging(changes.map { ($0.name, $0.value) }) { $1 }
    // This process's own environment stays as it is: threads that go on until the end of it look there.
    var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    execve(Program.path, &arguments, &variables)
  }
}
