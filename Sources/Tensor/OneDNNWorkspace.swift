#if BFloat16
  import COneDNN
  import Failures
  import Foundation

  /// What a thread needs to run products: a stream, and memory that grows to the largest of them. Made at a thread's
  /// first product, gone with the thread.
  final class OneDNNWorkspace {
    let engine: dnnl_engine_t
    private let stream: dnnl_stream_t
    private var inputMemory = Memory()
    private var scratchpadMemory = Memory()

    private struct Memory {
      var base: UnsafeMutableRawPointer?
      var bytes = 0

      mutating func grown(to wanted: Int) -> UnsafeMutableRawPointer {
        if let base, wanted <= bytes { return base }
        base?.deallocate()
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(wanted, 64), alignment: 64)
        base = memory
        bytes = wanted
        return memory
      }
    }

    /// One for the process: an engine may be used by all threads.
    private nonisolated(unsafe) static let sharedEngine: dnnl_engine_t = {
      var engine: dnnl_engine_t?
      guard dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success, let engine else {
        fatalError("oneDNN has no CPU engine")
      }
      return engine
    }()

    private static let key: pthread_key_t = {
      var key = pthread_key_t()
      pthread_key_create(&key) { if let known = $0 { Unmanaged<OneDNNWorkspace>.fromOpaque(known).release() } }
      return key
    }()

    /// The calling thread's.
    static var current: OneDNNWorkspace {
      if let known = pthread_getspecific(key) {
        return Unmanaged<OneDNNWorkspace>.fromOpaque(known).takeUnretainedValue()
      }
      let made = OneDNNWorkspace()
      pthread_setspecific(key, Unmanaged.passRetained(made).toOpaque())
      return made
    }

    private init() {
      // OpenMP's number of threads belongs to the calling thread; lanes bring the parallelism.
      omp_set_num_threads(1)
      engine = Self.sharedEngine
      var stream: dnnl_stream_t?
      guard dnnl_stream_create(&stream, engine, dnnl_stream_default_flags.rawValue) == dnnl_success, let stream else {
        fatalError("oneDNN cannot make a stream")
      }
      self.stream = stream
    }

    deinit {
      dnnl_stream_destroy(stream)
      inputMemory.base?.deallocate()
      scratchpadMemory.base?.deallocate()
    }

    func input(bytes: Int) -> UnsafeMutableRawPointer { inputMemory.grown(to: bytes) }
    func scratchpad(bytes: Int) -> UnsafeMutableRawPointer { scratchpadMemory.grown(to: bytes) }

    /// Runs a primitive on memory in the order of `roles` and `descriptions`.
    func execute(
      _ primitive: dnnl_primitive_t, roles: [Int32], _ descriptions: UnsafePointer<dnnl_memory_desc_t>,
      _ memory: UnsafeMutableRawPointer...
    ) throws {
      try withUnsafeTemporaryAllocation(of: dnnl_exec_arg_t.self, capacity: roles.count) { arguments in
        var made = 0
        defer { for index in 0..<made { dnnl_memory_destroy(arguments[index].memory) } }
        for index in 0..<roles.count {
          var object: dnnl_memory_t?
          try check(dnnl_memory_create(&object, descriptions + index, engine, memory[index]))
          arguments[index] = dnnl_exec_arg_t(arg: roles[index], memory: object)
          made += 1
        }
        try check(dnnl_primitive_execute(primitive, stream, Int32(made), arguments.baseAddress))
        try check(dnnl_stream_wait(stream))
      }
    }
  }

  func describe(_ sizes: [Int64], _ type: dnnl_data_type_t, strides: [Int64]) throws -> dnnl_memory_desc_t {
    var description = dnnl_memory_desc_t()
    try check(dnnl_memory_desc_init_by_strides(&description, Int32(sizes.count), sizes, type, strides))
    return description
  }

  func check(_ status: dnnl_status_t) throws {
    guard status != dnnl_success else { return }
    throw Failure.unavailable(
      "oneDNN refused a product of the encoder's (status \(status.rawValue)); use encoder.precision float32 and run.products openblas"
    )
  }

  func present<Object>(_ object: Object?) throws -> Object {
    guard let object else { throw Failure.unavailable("oneDNN gave no object") }
    return object
  }
#endif
