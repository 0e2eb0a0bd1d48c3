import Foundation
import Storage
import Synchronization
import TestSupport
import Testing

/// `ala watch` sees a run by its files, while it goes on and after.

private let ala = builtProgram("ala")

/// What a thread of its own comes to.
private final class LaterResult<Value: Sendable>: Sendable {
  private let result = Mutex<Result<Value, Error>?>(nil)
  private let isThere = DispatchSemaphore(value: 0)
  private let body: @Sendable () throws -> Value

  init(_ body: @escaping @Sendable () throws -> Value) { self.body = body }

  func start() {
    Thread {
      let own = Result { try self.body() }
      self.result.withLock { $0 = own }
      self.isThere.signal()
    }.start()
  }

  func value() throws -> Value {
    isThere.wait()
    return try #require(result.withLock { $0 }).get()
  }
}

private func page(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

/// A run's folder as if two epochs of four were done: two steps each, one of them made twice.
func handMadeRun() throws -> TemporaryFolder {
  let folder = try TemporaryFolder()
  func write(_ name: String, _ text: String) throws {
    try text.write(toFile: "\(folder.path)/\(name)", atomically: true, encoding: .utf8)
  }
  func step(_ step: Int, _ epoch: Int, _ phase: String, _ loss: Double, rate: Double) -> String {
    "{\"event\":\"step\",\"epoch\":\(epoch),\"step\":\(step),\"phase\":\"\(phase)\",\"loss\":\(loss),\"samples_per_s\":\(rate)}\n"
  }
  try write("config.yaml", "training:\n  epochs: 4\n  batch: 8\n")
  try write("split.json", "{\"train\": \(Array(1...12)), \"valid\": [13], \"test\": [14]}")
  try write("log.txt", "encoder <vit> & more\nepoch 1: done\n")
  try write(
    "metrics.jsonl",
    step(1, 1, "alpha", 2, rate: 8) + step(2, 1, "alpha", 9, rate: 4)
      // Gone on from the first step's checkpoint.
      + step(2, 1, "alpha", 1, rate: 4)
      + "{\"event\":\"epoch\",\"epoch\":1,\"phase\":\"alpha\",\"split\":\"valid\",\"accuracy\":0.5,\"loss\":1.5,\"iou\":0.25}\n"
      + "{\"event\":\"ranks\",\"epoch\":1,\"step\":2,\"phase\":\"alpha\",\"waits_for_data_ms\":[1,2,3],\"waits_for_ranks_ms\":[40,5,30]}\n"
      + step(3, 2, "ones", 0.75, rate: 4) + "{\"event\":\"step\",\"epoch\":2,\"st")
  return folder
}

@Test func aWatchedRunHasItsLossesByPhaseItsTimeLeftAndWhoIsWaitedFor() throws {
  let folder = try handMadeRun()
  var lock: RunLock? = try RunLock(path: "\(folder.path)/.lock") { _ in }
  let seen = try run(ala, ["watch", folder.path, "--once"])
  withExtendedLifetime(lock) {}
  #expect(seen.code == 0, "\(seen.errors)")
  let lines = seen.output.split(separator: "\n").map(String.init)
  #expect(lines.first?.contains(": running: pid \(getpid()) on ") == true, "\(lines)")
  // A step of 8 images takes 1 s and 2 s, one of 4 half: left are one of ones, two of alpha, two of ones, each epoch's
  // second of 4 images.
  #expect(lines[1].hasSuffix("38%  epoch 2 of 4 (ones), step 3 of 8, at most 0:08 left"), "\(lines)")
  #expect(lines.contains { $0.hasPrefix("alpha") && $0.contains("last steps 1.5000") && $0.contains("samples/s 6 ") })
  #expect(lines.contains { $0.hasPrefix("ones ") && $0.contains("last steps 0.7500  loss, epoch before –") })
  #expect(lines.contains("validation, epoch 1: accuracy 0.5000, loss 1.5000, IoU 0.2500; no better one before"))
  #expect(
    lines.contains { $0.contains("5.0 ms on rank 1 … 40.0 ms on rank 0; for samples: 3.0 ms at most") }, "\(lines)")
  let live = try page("\(folder.path)/watch.html")
  #expect(
    !live.contains("http-equiv") && live.contains("encoder &lt;vit&gt; &amp; more"))
  #expect(live.contains("alt=\"Loss by phase\"") && live.contains("<td>1</td>"))

  // Once it has ended, the page is written a last time and no longer looks again.
  lock = nil
  let ended = try run(ala, ["watch", folder.path], seconds: 30)
  #expect(ended.code == 0 && ended.output.contains(": not running, and not at its end; "), "\(ended.errors)")
  #expect(
    ended.output.contains("goes on: mpirun -np 3 ala train --config \(folder.path)/config.yaml\n"), "\(ended.output)")
  #expect(try !page("\(folder.path)/watch.html").contains("http-equiv"))
  let log = try #require(FileHandle(forWritingAtPath: "\(folder.path)/log.txt"))
  try log.seekToEnd()
  try log.write(contentsOf: Data("finished: 8 steps, 4 epochs\nnext: ala evaluate\n".utf8))
  try log.close()
  #expect(try run(ala, ["watch", folder.path]).output.contains(": finished\n"))
}

@Test(arguments: [1, 2]) func aRunThatWasKilledIsToldOfWithTheCommandThatGoesOn(ranks: Int) throws {
  let bench = try TrainingBench(extra: "checkpoint: {every_minutes: 0.002}")
  let folder = "\(bench.folder.path)/a run"
  let watched = LaterResult { try run(ala, ["watch", folder, "--every", "1"], seconds: 60) }
  let long = ["--set", "training.epochs=100000", "--set", "training.patience=0"]
  var renews = false
  let trained = try bench.ala("train", ranks: ranks, run: "a run", long) { process in
    waitForFirstStep(of: folder)
    watched.start()
    for _ in 0..<600 where !FileManager.default.fileExists(atPath: "\(folder)/watch.html") { usleep(20_000) }
    renews = (try? page("\(folder)/watch.html").contains("<meta http-equiv=\"refresh\" content=\"1\">")) ?? false
    kill(process, SIGKILL)
  }
  #expect(trained.code == SIGKILL && renews)
  // Who looks on sees it end.
  let live = try watched.value()
  let last = live.output.components(separatedBy: ": killed: pid ")
  #expect(live.code == 0 && live.output.contains(": running: pid ") && last.count == 2, "\(live)")
  let state = try #require(try page("\(folder)/watch.html").firstMatch(of: /<p class="state">(.*)<\/p>/)?.1)
  #expect(state.hasPrefix("killed: pid ") && state.contains("has ended without a word"), "\(state)")
  // The command is meant to be typed again.
  let words = "the same command goes on: "
  let line = try #require(live.output.split(separator: "\n").last { $0.contains(words) })
  let command = line.components(separatedBy: words).last ?? ""
  #expect(command.contains("mpirun ") == (ranks > 1), "\(command)")
  let again = try run("/bin/sh", ["-c", "\(command) --stop-after-steps 1"])
  #expect(again.code == 0 && again.errors.contains("resuming from "), "\(command): \(again.errors)")
  #expect(try run(ala, ["watch", folder]).output.contains(": stopped; the same command goes on: "))
}

@Test func aRunIsWatchedWhileItGoesOnAndItsRanksSayWhatTheyWaitFor() throws {
  let bench = try TrainingBench()
  let folder = "\(bench.folder.path)/run"
  var seen: ProcessResult?
  let trained = try bench.ala(
    "train", ranks: 3, run: "run", ["--set", "training.epochs=100000", "--set", "training.patience=0"]
  ) {
    process in
    // Not line by line: the file grows faster than it could be parsed again and again.
    for _ in 0..<4000 {
      let told = (try? String(contentsOfFile: "\(folder)/metrics.jsonl", encoding: .utf8)) ?? ""
      if told.contains("\"split\":\"valid\"") { break }
      usleep(10_000)
    }
    // One look after the other, until the signal.
    let signal = Thread {
      sleep(2)
      kill(process, SIGUSR1)
    }
    signal.start()
    seen = try? run(ala, ["watch", folder, "--every", "1"], seconds: 60)
  }
  #expect(trained.code == 75, "\(trained.errors)")
  let result = try #require(seen)
  #expect(result.code == 0 && result.output.contains("running: pid "), "\(result.errors)\(result.output)")
  #expect(result.output.contains("\nalpha  loss, last steps "), "\(result.output)")
  let text = try page("\(folder)/watch.html")
  // The pictures of the newest validation, and three ranks.
  #expect(text.matches(of: /<figcaption>image \d+, epoch \d+</).count == 6, "\(text.count)")
  #expect(text.matches(of: /<tr><td>\d<\/td>/).count == 3)
  let ranks = try bench.metrics("run").filter { $0["event"] as? String == "ranks" }
  #expect(!ranks.isEmpty)
  for line in ranks {
    let (data, others) = (line["waits_for_data_ms"] as? [Double] ?? [], line["waits_for_ranks_ms"] as? [Double] ?? [])
    #expect(
      data.count == 3 && others.count == 3 && (data + others).allSatisfy { $0 >= 0 } && others.contains { $0 > 0 })
  }
}

@Test func aWatchedTableHasItsRowsTheRunThatGoesOnAndTheTimeLeftByItsOwnEstimate() throws {
  let (folder, trained) = (try TemporaryFolder(), try handMadeRun())
  func write(_ name: String, _ text: String) throws {
    try text.write(toFile: "\(folder.path)/\(name)", atomically: true, encoding: .utf8)
  }
  try FileManager.default.createDirectory(atPath: "\(folder.path)/runs/iv", withIntermediateDirectories: true)
  try FileManager.default.moveItem(atPath: trained.path, toPath: "\(folder.path)/runs/iv/7")
  try write(".ala-made-table", "")
  try write("log.txt", "4/9: train iv, seed 7\n")
  let measuring = try run(ala, ["watch", folder.path])
  #expect(measuring.code == 0 && measuring.output.contains("no stage was begun"), "\(measuring.errors)")

  func stage(_ kind: String, _ subject: String, _ seed: Int, _ state: String, _ seconds: Int, _ more: String = "")
    -> String
  {
    """
    {"name": "\(kind) \(subject), seed \(seed)", "kind": "\(kind)", "subject": "\(subject)", "seed": \(seed),
     "state": "\(state)", "estimated_seconds": \(seconds)\(more)}
    """
  }
  let began = Int(Date().timeIntervalSince1970) - 65
  let stages = [
    stage("train", "cam", 7, "done", 100),
    stage("train", "odd", 7, "failed", 50, ", \"failure\": \"train odd, seed 7: no <luck>\""),
    stage("train", "iv", 7, "running", 40, ", \"began_at\": \(began)"), stage("evaluate", "cam", 7, "done", 100),
    stage("evaluate", "odd", 7, "failed", 50), stage("evaluate", "rise", 7, "waiting", 60),
    stage("train", "cam", 8, "done", 20, ", \"took_seconds\": 40"), stage("evaluate", "cam", 8, "waiting", 30),
    stage("train", "iv", 8, "waiting", 10), stage("evaluate", "rise", 8, "waiting", 40),
  ]
  try write(
    "stages.json",
    """
    {"seeds": [7, 8], "workers": "2 ranks x 1 threads", "stages": [\(stages.joined(separator: ", "))],
     "rows": [{"name": "rise", "network": "iv"}, {"name": "cam", "network": "cam"}, {"name": "odd", "network": "odd"}]}
    """)
  var lock: RunLock? = try RunLock(path: "\(folder.path)/.lock") { _ in }
  let seen = try run(ala, ["watch", folder.path, "--once"])
  withExtendedLifetime(lock) {}
  let lines = seen.output.split(separator: "\n").map(String.init)
  // 140 s wait, which may be 280 as things go; the run's own pace leaves it 8 s. Of 500 s are 148 left.
  #expect(lines[1].contains("70%  3 of 10 stages done, 2 failed, at most 4:48 left (2 ranks x 1 threads)"), "\(lines)")
  #expect(lines[6].hasPrefix("now: train iv, seed 7: for 1:0") && lines[6].hasSuffix(", estimated at 0:40"), "\(lines)")
  #expect(lines[7].hasPrefix("  epoch 2 of 4 (ones), step 3 of 8") && lines.contains { $0.hasPrefix("  alpha  loss") })
  #expect(
    lines.contains { $0.contains(/^rise +training +waiting *$/) }
      && lines.contains { $0.contains(/^cam +done +trained *$/) })
  #expect(lines.contains { $0.contains(/^odd +failed +waiting *$/) } && lines.contains("log: 4/9: train iv, seed 7"))
  let live = try page("\(folder.path)/watch.html")
  #expect(live.contains("train odd, seed 7: no &lt;luck&gt;"))
  #expect(live.contains("<td class=\"training\">training</td>") && live.contains("alt=\"Loss by phase\""))

  lock = nil
  let ended = try run(ala, ["watch", folder.path])
  #expect(ended.output.contains("now: train iv, seed 7: interrupted; the same command goes on"), "\(ended.output)")
  #expect(ended.output.contains(": not running, and not at its end; the same command goes on\n"), "\(ended.output)")
  #expect(ended.output.contains(/rise +interrupted +waiting/) && !ended.output.contains(" left"), "\(ended.output)")
}

@Test func whatIsNoRunOrNoPageOfItsOwnIsNamedAndLeftAlone() throws {
  let folder = try handMadeRun()
  let none = try run(ala, ["watch", "\(folder.path)/none"])
  #expect(none.code == 66 && none.errors.contains("is no folder of a run"), "\(none.errors)")
  try "mine".write(toFile: "\(folder.path)/notes.html", atomically: true, encoding: .utf8)
  let foreign = try run(ala, ["watch", folder.path, "--once", "--out", "\(folder.path)/notes.html"])
  #expect(try foreign.code == 73 && page("\(folder.path)/notes.html") == "mine", "\(foreign.errors)")
  let metrics = try run(ala, ["watch", folder.path, "--once", "--out", "\(folder.path)/metrics.jsonl", "--overwrite"])
  #expect(try metrics.code == 73 && page("\(folder.path)/metrics.jsonl").hasPrefix("{\"event\""), "\(metrics.errors)")
  // What other commands have made is named, and no page is written there.
  let bench = try TrainingBench(lanes: 4, cache: "there")
  let root = bench.folder.path
  #expect(try bench.ala("cache", run: "run").code == 0)
  #expect(try bench.ala("train", run: "run", ["--set", "training.epochs=1"]).code == 0)
  let none4 = ["--set", "evaluation.steps=0"]
  #expect(
    try bench.ala("evaluate", run: "run", ["--checkpoint", "\(root)/run", "--out", "\(root)/e"] + none4).code == 0)
  for (name, kind) in [("cache", "a feature cache"), ("e", "an evaluation"), ("data", "a synthetic data set")] {
    let other = try run(ala, ["watch", "\(root)/\(name)", "--once"])
    #expect(other.code == 66 && other.errors.contains("/\(name): is \(kind), "), "\(other)")
    #expect(!FileManager.default.fileExists(atPath: "\(root)/\(name)/watch.html"))
  }
  #expect(try mpirun(ranks: 2, ala, ["watch", folder.path, "--once"]).code == 64)
  #expect(try run(ala, ["watch", folder.path, "--every", "0"]).code == 64)
}

@Test(arguments: [
  ("ala: interrupted at step 3; x is written: run the same command again", "stopped"),
  ("stopped: 3 steps, 2 epochs\nnext: the same command goes on with the run", "stopped"),
  ("ala: error: data: images/1.jpg is gone", "ended by an error"),
  ("ala: interrupted at step 2\nresuming from x", "not running, and not at its end"),
])
func howARunHasEndedIsWhatItsLogSaysLast(words: String, state: String) throws {
  let folder = try handMadeRun()
  try "epoch 1: done\n\(words)\n".write(toFile: "\(folder.path)/log.txt", atomically: true, encoding: .utf8)
  let seen = try run(ala, ["watch", folder.path])
  #expect(seen.output.contains(": \(state); the same command goes on: mpirun -np 3 ala train "), "\(seen)")
}

/// A run that is held by SIGSTOP has its lock still.
@Test func aRunThatMakesNoStepIsToldWithTheAgeOfItsLastOne() throws {
  let folder = try handMadeRun()
  let lock = try RunLock(path: "\(folder.path)/.lock") { _ in }
  func progress(age: Double) throws -> String {
    let date = Date(timeIntervalSinceNow: -age)
    try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: "\(folder.path)/metrics.jsonl")
    let seen = try run(ala, ["watch", folder.path, "--once"])
    return seen.output.split(separator: "\n").dropFirst().first.map(String.init) ?? ""
  }
  #expect(try progress(age: 0).hasSuffix(" left"))
  #expect(try progress(age: 64).hasSuffix(" left, last step 60 s ago"))
  #expect(try progress(age: 3000).hasSuffix(", last step 50 min ago"))
  withExtendedLifetime(lock) {}
}
