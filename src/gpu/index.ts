/**
 * Kernels on graphics cards, as scoped resources of Effect. Needs the packages gpu.js and, for graphics cards, webgpu.
 */
export * as BufferPool from "./BufferPool.ts"
export * as GpuBuffer from "./GpuBuffer.ts"
export * as GpuDevice from "./GpuDevice.ts"
export * as Kernel from "./Kernel.ts"
export * as Pipeline from "./Pipeline.ts"
export * as Tensor from "./Tensor.ts"
