// A part of landmark_backward_sm90.cu, which has the formulas and the sizes: what is done for each row of queries before and after.
#ifndef LANDMARK_BACKWARD_ROWS
#define LANDMARK_BACKWARD_ROWS

// Rows of the output and of its gradient; strides in elements.
struct Rows {
    long long count, outBatch, outHead, outPosition, gradientBatch, gradientHead, gradientPosition;
    int heads, queries;
};

// delta = rowsum(dO * O), less the gradient of the gate's log-sum (to the base e) if there is one; a warp a row.
extern "C" __global__ void landmark_delta(
    const T *__restrict__ out, const T *__restrict__ gradient, const float *__restrict__ logSumGradient, float *__restrict__ delta,
    const __grid_constant__ Rows rows)
{
    const long long row = blockIdx.x * 8ll + threadIdx.x / kWarp;
    if (row >= rows.count) return;
    const int t = row % rows.queries, head = row / rows.queries % rows.heads, batch = row / rows.queries / rows.heads;
    out += batch * rows.outBatch + head * rows.outHead + t * rows.outPosition;
    gradient += batch * rows.gradientBatch + head * rows.gradientHead + t * rows.gradientPosition;
    float sum = 0;
    for (int i = lane_index(); i < D; i += kWarp) sum = multiply_add(to_float(out[i]), to_float(gradient[i]), sum);
    sum = warp_sum(sum);
    if (lane_index() == 0) delta[row] = logSumGradient ? sum - logSumGradient[row] : sum;
}

// dQ from the parts' order of registers: one thread block a tile of queries, a thread for each two neighbouring columns.
extern "C" __global__ void landmark_query_gradient(
    const float *__restrict__ queryParts, T *__restrict__ queryGradient, const __grid_constant__ Shape shape)
{
    const int head = blockIdx.x / shape.queryTiles, tile = blockIdx.x % shape.queryTiles;
    const float *parts = queryParts + (long long)blockIdx.x * CHUNKS * PARTS;
    const int thread = threadIdx.x % 128;
    for (int i = threadIdx.x / 128; i < CHUNKS * 16; i += 2) {
        const int chunk = i / 16, j = i % 16 * 2;
        const int row = tile * ROWS + thread / 32 * 16 + thread % 32 / 4 + j / 2 % 2 * 8, column = chunk * 64 + j / 4 * 8 + thread % 4 * 2;
        if (row >= shape.queries || column >= D) continue;
        const float *at = parts + (chunk * 32 + j) * 128 + thread;
        *(u32 *)(queryGradient + ((long long)head * shape.queries + row) * D + column) = pack<T>(at[0] * shape.scale, at[128] * shape.scale);
    }
}

#endif
