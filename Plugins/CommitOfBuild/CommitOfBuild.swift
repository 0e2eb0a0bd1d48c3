import Foundation
import PackagePlugin

/// Makes `commitOfBuild`, the commit that a program is built from, for `ala --version`: what ALA_COMMIT says in the
/// environment of the build, or what git says of the package's folder; empty where neither is there. Only the work folder of
/// the build is written to, and a build of the same commit makes the same bytes.
@main struct CommitOfBuild: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
    let package = context.package.directoryURL
    let work = context.pluginWorkDirectoryURL
    let made = work.appending(path: "CommitOfBuild.swift")
    let script = package.appending(path: "Plugins/CommitOfBuild/commit-of-build")
    let sources = context.package.targets.compactMap { $0 as? SourceModuleTarget }
      .flatMap { $0.sourceFiles.map(\.url) }.filter { !$0.path.hasPrefix(work.path) }
    return [
      .buildCommand(
        displayName: "Asking for the commit", executable: URL(fileURLWithPath: "/bin/sh"),
        arguments: [script.path, made.path, ProcessInfo.processInfo.environment["ALA_COMMIT"] ?? ""],
        // Another commit, or a source that differs from it, asks anew.
        inputFiles: [script] + sources + heads(of: package), outputFiles: [made])
    ]
  }

  /// What git changes with every commit and checkout.
  private func heads(of package: URL) -> [URL] {
    var folder = package.appending(path: ".git")
    // Of a work tree beside its repository a file that says where.
    if let text = try? String(contentsOf: folder, encoding: .utf8), text.hasPrefix("gitdir: ") {
      let place = text.dropFirst("gitdir: ".count).trimmingCharacters(in: .whitespacesAndNewlines)
      folder = URL(fileURLWithPath: place, relativeTo: package)
    }
    return ["HEAD", "logs/HEAD"].map { folder.appending(path: $0) }
      .filter { FileManager.default.fileExists(atPath: $0.path) }
  }
}
