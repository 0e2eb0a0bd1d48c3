import Foundation
import Machine
import Tensor

/// OpenBLAS's kernel can only be chosen through the environment and before it is loaded, so where it has fallen back
/// to a slow one the program starts itself again.
enum BLASKernel {
  /// What OpenBLAS runs with in this process.
  static var choice: BLASChoice {
    BLASChoice(kernel: blasKernel(), environment: ProcessInfo.processInfo.environment)
  }

  /// Returns where the kernel is right already or has been chosen by the user; else does not return.
  static func choose() {
    guard let better = choice.better else { return }
    setenv(BLASChoice.coreType, better, 1)
    setenv(BLASChoice.ownChoice, "1", 1)
    var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) }
    arguments.append(nil)
    execv(Program.path, &arguments)
  }
}
