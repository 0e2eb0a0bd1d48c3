import Foundation

/// A program in a process group of its own, with whatever it starts there, and what they write.
struct ProcessGroup {
  /// The program's process id, and the group's.
  let leader: Int32
  private(set) var output = Data()
  private var errorEnd = Data()
  /// How the program has ended; nil while it runs.
  private(set) var ending: ChildProcess.Ending?
  private let mostOutput: Int
  /// The ends of pipes that are read; -1 once nobody writes any more.
  private var outputPipe: Int32
  private var errorPipe: Int32

  /// Of standard error.
  private static let keptErrors = 64 << 10
  /// Between the signal that asks and the one that ends.
  private static let grace = Duration.seconds(5)
  private static let pollMilliseconds: Int32 = 2

  /// Starts the program; nil where it cannot be started.
  init?(_ program: String, _ arguments: [String], environment: [String: String], mostOutput: Int) {
    guard let outputEnds = Self.pipe() else { return nil }
    guard let errorEnds = Self.pipe() else {
      for end in [outputEnds.read, outputEnds.write] { Glibc.close(end) }
      return nil
    }
    let started = Self.start(
      program, arguments, environment: environment, output: outputEnds.write, errors: errorEnds.write)
    for end in [outputEnds.write, errorEnds.write] { Glibc.close(end) }
    guard let started else {
      for end in [outputEnds.read, errorEnds.read] { Glibc.close(end) }
      return nil
    }
    (leader, outputPipe, errorPipe) = (started, outputEnds.read, errorEnds.read)
    self.mostOutput = mostOutput
  }

  var wroteTooMuch: Bool { output.count > mostOutput }

  var errors: String { String(decoding: errorEnd.suffix(Self.keptErrors), as: UTF8.self) }

  /// Whoever of the group still writes writes in vain.
  mutating func close() {
    for end in [outputPipe, errorPipe] where end >= 0 { Glibc.close(end) }
    (outputPipe, errorPipe) = (-1, -1)
  }

  // MARK: Starting

  /// A pipe whose reading end does not wait. No child inherits it, and neither end is one of the standard streams, which
  /// may be closed here.
  private static func pipe() -> (read: Int32, write: Int32)? {
    var ends: [Int32] = [-1, -1]
    guard Glibc.pipe(&ends) == 0 else { return nil }
    let moved = ends.map { fcntl($0, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) }
    for end in ends { Glibc.close(end) }
    guard moved.allSatisfy({ $0 >= 0 }) else {
      for end in moved where end >= 0 { Glibc.close(end) }
      return nil
    }
    _ = fcntl(moved[0], F_SETFL, O_NONBLOCK)
    return (moved[0], moved[1])
  }

  private static func start(
    _ program: String, _ arguments: [String], environment: [String: String], output: Int32, errors: Int32
  ) -> Int32? {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
    // A library may have opened files that children inherit. One that has been closed since is none.
    for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
      if let descriptor = Int32(name), descriptor > STDERR_FILENO {
        posix_spawn_file_actions_addclose(&actions, descriptor)
      }
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // A program that inherits what is held would be deaf; one that inherits what this one ignores would not end with who
    // reads it.
    var (held, usual) = (sigset_t(), sigset_t())
    sigemptyset(&held)
    sigemptyset(&usual)
    sigaddset(&usual, SIGPIPE)
    posix_spawnattr_setsigmask(&attributes, &held)
    posix_spawnattr_setsigdefault(&attributes, &usual)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var words = ([program] + arguments).map { strdup($0) } + [nil]
    var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for text in words + variables { free(text) } }
    var process: pid_t = 0
    // Of what a process has started that ignores this, which it may have inherited, nobody learns how it ended.
    if HeldSignals.isIgnored(SIGCHLD) { signal(SIGCHLD, SIG_DFL) }
    return posix_spawn(&process, program, &actions, &attributes, &words, &variables) == 0 ? process : nil
  }

  // MARK: Running

  /// Takes what has been written and notes whether the program has ended; waits for either, some milliseconds at most.
  mutating func read() {
    var ends = [pollfd(fd: outputPipe, events: Int16(POLLIN), revents: 0)]
    ends.append(pollfd(fd: errorPipe, events: Int16(POLLIN), revents: 0))
    poll(&ends, nfds_t(ends.count), Self.pollMilliseconds)
    take()
    reap()
  }

  /// What is in the pipes; of standard output no more than shows that it is too much.
  private mutating func take() {
    if outputPipe >= 0 {
      let (bytes, isOpen) = Self.read(outputPipe)
      output.append(bytes.prefix(max(0, mostOutput + 1 - output.count)))
      if !isOpen { outputPipe = Self.closed(outputPipe) }
    }
    if errorPipe >= 0 {
      let (bytes, isOpen) = Self.read(errorPipe)
      errorEnd.append(bytes)
      if errorEnd.count > 2 * Self.keptErrors { errorEnd = Data(errorEnd.suffix(Self.keptErrors)) }
      if !isOpen { errorPipe = Self.closed(errorPipe) }
    }
  }

  private static func closed(_ descriptor: Int32) -> Int32 {
    Glibc.close(descriptor)
    return -1
  }

  /// What a pipe holds now, a pipe's whole room at most, and whether anybody may write more.
  private static func read(_ descriptor: Int32) -> (bytes: Data, isOpen: Bool) {
    let room = 1 << 16
    var bytes = Data(count: room)
    let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, room) }
    guard count > 0 else { return (Data(), count < 0 && (errno == EAGAIN || errno == EINTR)) }
    return (bytes.prefix(count), true)
  }

  private mutating func reap() {
    guard ending == nil else { return }
    var status: Int32 = 0
    switch waitpid(leader, &status, WNOHANG) {
    case leader: ending = status & 0x7F == 0 ? .exited(status >> 8 & 0xFF) : .died(status & 0x7F)
    case -1 where errno == ECHILD: ending = .died(0)
    default: break
    }
  }

  // MARK: Ending

  /// Ends whatever is left of the group, and takes what it has written until then.
  mutating func end() {
    defer { take() }
    guard kill(-leader, SIGTERM) == 0 else { return }
    let asked = ContinuousClock.now
    while ContinuousClock.now - asked < Self.grace {
      read()
      if ending != nil, !Processes.isAlive(group: leader) { return }
    }
    kill(-leader, SIGKILL)
    let killed = ContinuousClock.now
    // One that waits for a disk ends later.
    while ending == nil, ContinuousClock.now - killed < Self.grace { read() }
  }
}
